"""An album and a member, across nginx, web processes and workers."""

import io
import tempfile
import uuid
from pathlib import Path
from typing import Any, ClassVar

import requests
from PIL import Image

from backend.photos.tests import factories
from tests.support import image_factories, samples
from tests.support.stack import wait_until
from tests.support.stack_case import StackCase


class AlbumFlowTests(StackCase):
    options: ClassVar[dict[str, Any]] = {"nginx": True}

    def test_an_album_of_an_archive_is_visible_to_permitted_users(self) -> None:
        both = image_factories.encoded(
            image_factories.side_by_side("obama.jpg", "biden.jpg", width=300)
        )
        files = {"one.jpg": samples.face(), "two.jpg": both, "none.jpg": samples.no_face()}
        with tempfile.TemporaryDirectory() as folder:
            archive = Path(folder, "Summer.tar.gz")
            archive.write_bytes(factories.tarred({**files, "notes.txt": b"x"}, "w:gz"))
            told = self.stack.manage("import_album", str(archive)).stdout
        self.assertIn("3 photos, 1 files skipped.", told)
        self.assertIn("skipped notes.txt", told)
        wait_until(self.is_complete, "each photo has its faces and no original, the album is shown")
        faces = {row["name"]: row["faces_count"] for row in self.photos()}
        self.assertEqual(faces, {"one.jpg": 1, "two.jpg": 2, "none.jpg": 0})
        self.see(self.photos()[0]["key"])

    def photos(self) -> list[dict[str, Any]]:
        return self.stack.query("SELECT * FROM photos_photo ORDER BY name")

    def is_complete(self) -> bool:
        albums = self.stack.query("SELECT is_processing FROM photos_album")
        states = {row["extraction"] for row in self.photos()}
        originals = [name for name in self.stack.stored_files() if "originals" in name]
        is_shown = not any(row["is_processing"] for row in albums)
        return states == {"done"} and is_shown and not originals

    def see(self, key: str) -> None:
        """With a session of staff and without, through nginx."""
        path = f"{self.stack.url}/photos/{uuid.UUID(str(key))}/600.jpg"
        self.assertEqual(requests.get(path, timeout=30).status_code, 404)
        picture = self.staff_session().get(path, timeout=30)
        self.assertEqual(picture.headers["Content-Type"], "image/jpeg")
        self.assertEqual(Image.open(io.BytesIO(picture.content)).format, "JPEG")
