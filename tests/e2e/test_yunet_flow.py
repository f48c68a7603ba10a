"""The whole service with `FACES_DETECTOR=yunet`: uploads, events, recognition, albums, hashes."""

import io
import math
import tempfile
from pathlib import Path
from typing import Any, ClassVar

from PIL import Image

import faceengine
from backend.photos.tests import factories
from faceengine.detection import yunet_weights
from tests.support import image_factories, photographs, prerequisites, samples
from tests.support.stack import wait_until
from tests.support.stack_case import StackCase

USERS = "/recognition/users"


def on_its_side(name: str = "obama.jpg") -> bytes:
    """The photograph turned by 90° clockwise, as pixels."""
    image = Image.open(io.BytesIO(photographs.read(name)))
    jpeg = io.BytesIO()
    image.transpose(Image.Transpose.ROTATE_270).save(jpeg, "JPEG", quality=95)
    return jpeg.getvalue()


class YunetFlowTests(StackCase):
    options: ClassVar[dict[str, Any]] = {"nginx": True, "settings": {"FACES_DETECTOR": "yunet"}}

    @classmethod
    def setUpClass(cls) -> None:
        if not faceengine.is_available("yunet"):
            prerequisites.missing(yunet_weights.MISSING)
        super().setUpClass()

    def post(self, path: str, image: bytes, field: str = "image", **form: Any) -> Any:
        files = {field: ("a.jpg", image)}
        answer = self.stack.request("POST", path, files=files, data=form)
        self.assertEqual(answer.status_code, 200, answer.text)
        return answer.json()

    def test_an_upload_is_searched_by_yunet_and_published(self) -> None:
        listener = self.listen()
        id = self.stack.upload(image_factories.encoded(image_factories.side_by_side()), "two.jpg")
        status = self.assert_each_ended_once([id], listener)[id]
        self.assertEqual((status["detector"], status["faces_count"]), ("yunet", 2))
        self.assertLess(status["smallest_face_px"], 40)
        (event,) = [each for each in listener.wait_for([id]) if each["submission_id"] == id]
        self.assertEqual(event["faces"], status["faces"])
        self.assertEqual(self.stack.get("/readiness").json()["detector"], "yunet")

    def test_a_photo_on_its_side_is_drawn_as_it_is_and_its_face_says_its_rotation(self) -> None:
        turned = on_its_side()
        size = Image.open(io.BytesIO(turned)).size
        id = self.stack.upload(turned, "turned.jpg")
        status = self.stack.wait_ended([id])[id]
        (face,) = status["faces"]
        self.assertEqual(face["rotation"], 90)
        picture = self.stack.request("GET", status["image_url"]).content
        self.assertEqual(Image.open(io.BytesIO(picture)).size, size)
        (lying,) = self.stack.get(f"/image/{id}/faces/").json()["faces"]
        path, image = "/generate_face_encoding?detector=yunet", photographs.read("obama.jpg")
        straight = self.post(path, image, "upload_file")
        self.assertLess(math.dist(lying["encoding"], straight["face_encoding"]), 0.1)

    def test_encodings_keep_hog_unless_a_request_names_yunet(self) -> None:
        image = photographs.read("obama.jpg")
        hog = self.post("/generate_face_encoding", image, "upload_file")
        yunet = self.post("/generate_face_encoding?detector=yunet", image, "upload_file")
        self.assertEqual((hog["detector"], yunet["detector"]), ("hog", "yunet"))
        self.assertEqual(self.stack.get(f"/face_encoding/{hog['file_hash']}").json(), hog)
        self.assertLess(math.dist(hog["face_encoding"], yunet["face_encoding"]), 0.1)

    def test_a_gallery_of_hogs_encodings_recognises_yunets(self) -> None:
        for contact, name in ((1, "obama.jpg"), (2, "biden.jpg")):
            path = f"{USERS}/1/contacts/{contact}/faces"
            form: Any = {"face_id": contact, "score": "1", "detector": "hog"}
            self.post(path, photographs.read(name), **form)
        (found,) = self.post(f"{USERS}/1/recognize", photographs.read("obama2.jpg"))
        self.assertEqual(found["contact_id"], 1)

    def test_an_album_is_searched_by_yunet(self) -> None:
        both = image_factories.encoded(image_factories.side_by_side(width=300))
        files = {"one.jpg": samples.face(), "two.jpg": both, "none.jpg": samples.no_face()}
        with tempfile.TemporaryDirectory() as folder:
            archive = Path(folder, "Summer.tar")
            archive.write_bytes(factories.tarred(files, "w"))
            self.stack.manage("import_album", str(archive))
        wait_until(self.is_complete, "each photo has its faces")
        rows = self.stack.query("SELECT name, faces_count, extractor FROM photos_photo")
        counts = {row["name"]: row["faces_count"] for row in rows}
        self.assertEqual(counts, {"one.jpg": 1, "two.jpg": 2, "none.jpg": 0})
        self.assertEqual({row["extractor"].partition("/")[0] for row in rows}, {"yunet"})

    def is_complete(self) -> bool:
        rows = self.stack.query("SELECT extraction FROM photos_photo")
        return len(rows) == 3 and {row["extraction"] for row in rows} == {"done"}
