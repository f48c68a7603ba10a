"""A whole service whose images lie in a bucket: the same answers, and nothing on its disk."""

import hashlib
import tempfile
import uuid
import zipfile
from io import BytesIO
from typing import Any, ClassVar, Final

from PIL import Image

from backend.common.tests.bucket import NAME, BucketServer
from tests.support import samples
from tests.support.stack import Stack, wait_until
from tests.support.stack_case import StackCase

_ERASE: Final = (
    "from backend.photos.albums import service; from backend.photos.models import Album;"
    " [service.erase_album(album) for album in Album.objects.all()]"
)


class MediaOnS3Tests(StackCase):
    bucket: ClassVar[BucketServer]

    @classmethod
    def setUpClass(cls) -> None:
        super(StackCase, cls).setUpClass()
        cls.bucket = cls.enterClassContext(BucketServer())
        settings = {**cls.bucket.settings, "FACES_RETENTION_DAYS": "1"}
        cls.stack = cls.enterClassContext(Stack(nginx=True, workers=1, settings=settings))

    def done(self, image: bytes) -> tuple[str, dict[str, Any]]:
        id = self.stack.upload(image)
        return id, self.stack.wait_ended([id])[id]

    def path(self, url: str) -> str:
        self.assertTrue(url.startswith(f"{self.stack.url}/"), url)
        return url.removeprefix(self.stack.url)

    def test_an_image_goes_in_is_boxed_is_fetched_and_is_gone(self) -> None:
        image = samples.another(samples.face(), 1)
        id, resource = self.done(image)
        self.assertEqual((resource["status"], resource["faces_count"]), ("done", 1))
        keys = {name for name in self.bucket.names() if id in name}
        folder = f"{id[:2]}/{id[2:4]}/{id}.jpg"
        expected = {f"media/originals/{folder}", f"media/processed_faces/{folder}"}
        self.assertEqual(keys, expected)
        self.assertEqual(self.stack.stored_files(), set())

        path = self.path(resource["image_url"])
        answer = self.stack.get(path)
        self.assertEqual(answer.status_code, 200)
        self.assertEqual(Image.open(BytesIO(answer.content)).format, "JPEG")
        self.assertEqual(answer.headers["Content-Type"], "image/jpeg")
        self.assertEqual(answer.headers["Content-Disposition"], f'inline; filename="{id}.jpg"')
        self.assertEqual(answer.headers["Cache-Control"], "private, max-age=3600")
        self.assertEqual(answer.headers["X-Content-Type-Options"], "nosniff")
        told = {name.lower() for name in answer.headers}
        self.assertEqual({name for name in told if "amz" in name or "stored" in name}, set())
        self.assertNotIn("X-Amz-Signature", answer.text)

        self.assertEqual(self.stack.request("DELETE", f"/image/{id}/").status_code, 204)
        self.assertEqual([name for name in self.bucket.names() if id in name], [])
        self.assertEqual(self.stack.get(path).status_code, 404)

    def test_ranges_head_and_etags_are_answered_as_from_the_disk(
        self,
    ) -> None:
        _, resource = self.done(samples.another(samples.face(), 2))
        path = self.path(resource["image_url"])
        whole = self.stack.get(path)
        part = self.stack.get(path, headers={"Range": "bytes=2-9"})
        self.assertEqual((part.status_code, part.content), (206, whole.content[2:10]))
        head = self.stack.request("HEAD", path)
        self.assertEqual((head.status_code, head.content), (200, b""))
        self.assertEqual(head.headers["Content-Length"], str(len(whole.content)))
        same = self.stack.get(path, headers={"If-None-Match": whole.headers["ETag"]})
        self.assertEqual((same.status_code, same.content), (304, b""))

    def test_an_error_of_s3_is_answered_in_our_words(self) -> None:
        id, resource = self.done(samples.another(samples.face(), 3))
        for name in self.bucket.names():
            if id in name:
                self.bucket.client.delete_object(Bucket=NAME, Key=name)
        # Unlike AWS, moto refuses a signed address that leads to nothing.
        answer = self.stack.get(self.path(resource["image_url"]))
        self.assertEqual((answer.status_code, list(answer.json())), (503, ["detail"]))
        self.assertEqual(answer.headers["Content-Type"], "application/json")
        self.assertEqual({"Cache-Control", "Content-Disposition"} & set(answer.headers), set())

    def test_the_bucket_is_unreachable_without_the_backend(self) -> None:
        for path in ("/_s3/", "/_s3/media/x.jpg", f"/_s3/{self.bucket.url}"):
            answer = self.stack.get(path, headers={"X-Faces-Stored-At": self.bucket.url})
            self.assertEqual(answer.status_code, 404, path)

    def test_an_encoding_leaves_nothing_of_its_image_behind(self) -> None:
        image = samples.another(samples.face(), 4)
        files = {"upload_file": ("a.jpg", image)}
        answer = self.stack.request("POST", "/generate_face_encoding", files=files)
        self.assertEqual(answer.status_code, 200, answer.text)
        body = answer.json()
        self.assertEqual(body["file_hash"], hashlib.sha256(image).hexdigest())
        self.assertEqual(len(body["face_encoding"]), 128)
        wait_until(lambda: not self.waiting(), "the bytes are gone")

    def waiting(self) -> list[str]:
        return [name for name in self.bucket.names() if "/waiting/" in name]

    def test_retention_deletes_old_files_of_the_bucket_only(self) -> None:
        id, _ = self.done(samples.another(samples.face(), 5))
        kept = [name for name in self.bucket.names() if id in name]
        self.assertEqual(len(kept), 2)
        told = self.stack.manage("delete_old_submissions", "--days", "1")
        self.assertEqual(told.returncode, 0, told.stderr)
        self.assertIn("Deleted 0 files that belong to nothing.", told.stdout)
        self.assertEqual([name for name in self.bucket.names() if id in name], kept)
        self.make_old(id)
        told = self.stack.manage("delete_old_submissions", "--days", "1")
        self.assertIn("Deleted 1 submissions.", told.stdout, told.stderr)
        self.assertEqual([name for name in self.bucket.names() if id in name], [])

    def test_a_gallery_enrols_recognises_and_leaves_nothing(self) -> None:
        before, user = set(self.bucket.names()), "/recognition/users/7"
        enrolled = self.changed(
            f"{user}/contacts/1/faces", samples.another(samples.face(), 6), face_id=1, score=1
        )
        self.assertEqual([face["is_face"] for face in enrolled["added"]], [True])
        found = self.changed(f"{user}/recognize", samples.another(samples.face(), 7))
        self.assertEqual([face["contact_id"] for face in found], [1])
        self.assertEqual(self.stack.stored_files(), set())
        self.assertIn(self.stack.request("DELETE", user).status_code, (200, 202))
        wait_until(lambda: set(self.bucket.names()) <= before, "all of the user is gone")

    def changed(self, path: str, image: bytes, **fields: int) -> Any:
        """The outcome of a call on a gallery with one image, at once or later."""
        files = {"image": ("a.jpg", image)}
        answer = self.stack.request("POST", path, files=files, data=fields)
        self.assertIn(answer.status_code, (200, 202), answer.text)
        if answer.status_code == 200:
            return answer.json()
        operation = f"/recognition/operations/{answer.json()['operation_id']}/"
        wait_until(lambda: self.stack.get(operation).json()["status"] == "done", "it is done")
        return self.stack.get(operation).json()["result"]

    def test_an_album_is_imported_shown_and_erased(self) -> None:
        before = set(self.bucket.names())
        with tempfile.NamedTemporaryFile(suffix=".zip") as file:
            with zipfile.ZipFile(file, "w") as archive:
                archive.writestr("one.jpg", samples.another(samples.face(), 8))
            file.flush()
            imported = self.stack.manage("import_album", file.name, "--title", "S3")
        self.assertEqual(imported.returncode, 0, imported.stderr)
        wait_until(lambda: self.photo()["extraction"] == "done", "the photo has its faces")
        self.assertEqual(self.photo()["faces_count"], 1)
        self.assertTrue(set(self.bucket.names()) - before)
        self.assertEqual(self.stack.stored_files(), set())
        path = f"{self.stack.url}/photos/{uuid.UUID(str(self.photo()['key']))}/600.jpg"
        picture = self.staff_session().get(path, timeout=60)
        self.assertEqual(Image.open(BytesIO(picture.content)).format, "JPEG")
        erased = self.stack.manage("shell", "-c", _ERASE)
        self.assertEqual(erased.returncode, 0, erased.stderr)
        wait_until(lambda: set(self.bucket.names()) <= before, "all of the album is gone")

    def photo(self) -> dict[str, Any]:
        (row,) = self.stack.query("SELECT * FROM photos_photo")
        return row

    def make_old(self, id: str) -> None:
        sql = "from backend.submissions.models import Submission as S; from datetime import *;"
        sql += f"S.objects.filter(pk='{id}').update(created_at=datetime(2020, 1, 1, tzinfo=UTC))"
        self.assertEqual(self.stack.manage("shell", "-c", sql).returncode, 0)
