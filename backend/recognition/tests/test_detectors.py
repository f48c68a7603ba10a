"""A call may name the detector of its images, also of those that are downloaded later."""

import io
import json
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile
from django.db.models import signals
from PIL import Image

from backend.analysis import detectors
from backend.analysis.models import Analysis
from backend.recognition import api
from backend.recognition.models import Operation
from backend.recognition.tests.base import ids
from backend.recognition.tests.test_http import FACES, USER, HttpCase
from tests.support import photographs

OBAMA = photographs.read("obama.jpg")


def small() -> bytes:
    """A photograph that the CNN searches fast."""
    image = Image.open(io.BytesIO(OBAMA))
    image.thumbnail((300, 300))
    jpeg = io.BytesIO()
    image.save(jpeg, "JPEG")
    return jpeg.getvalue()


class DetectorTests(HttpCase):
    def setUp(self) -> None:
        super().setUp()
        self.analyses: list[str] = []
        signals.post_save.connect(self.note, sender=Analysis)
        self.addCleanup(signals.post_save.disconnect, self.note, sender=Analysis)

    def note(self, *, instance: Analysis, created: bool, **kwargs: Any) -> None:
        if created:
            self.analyses.append(instance.detector)

    def used(self) -> list[str]:
        """The detectors of the analyses since the last call. An ended operation keeps none."""
        used, self.analyses = self.analyses, []
        return used

    def form(self, **fields: Any) -> dict[str, Any]:
        return {"image": SimpleUploadedFile("a.jpg", small()), **fields}

    def test_the_default_is_the_services(self) -> None:
        self.client.post(FACES, self.form(face_id=1, score=1))
        self.assertEqual(self.used(), [detectors.default_detector()])

    def test_faces_are_added_by_the_named_detector(self) -> None:
        face = {"face_id": 1, "face_url": self.web.put(small()), "score": 1.0}
        added = self.call("post", FACES, {"faces": [face], "detector": "cnn"})
        self.assertEqual(ids(added.json()["added"]), [1])
        self.assertEqual(self.used(), ["cnn"])
        self.call("post", f"{FACES}?detector=cnn", [{**face, "face_id": 2}])
        self.assertEqual(self.used(), ["cnn"])
        self.client.post(FACES, self.form(face_id=3, score=1, detector="cnn"))
        self.assertEqual(self.used(), ["cnn"])

    def test_a_face_is_recognised_by_the_named_detector(self) -> None:
        self.client.post(FACES, self.form(face_id=1, score=1))
        self.used()
        probe = {"face_url": self.web.put(small()), "detector": "cnn"}
        (found,) = self.call("post", f"{USER}/recognize", probe).json()
        self.assertEqual((found["contact_id"], self.used()), (2, ["cnn"]))
        (found,) = self.client.post(f"{USER}/recognize", self.form(detector="cnn")).json()
        self.assertEqual((found["contact_id"], self.used()), (2, ["cnn"]))

    def test_an_operation_keeps_its_detector_until_its_images_are_there(self) -> None:
        self.enqueue.side_effect = None
        face = {"face_id": 1, "face_url": self.web.put(small()), "score": 1.0}
        with self.settings(FACES_SYNC_RESPONSE_TIMEOUT_S=0.01):
            self.call("post", FACES, {"faces": [face], "detector": "cnn"})
        self.assertEqual(Operation.objects.get().arguments["detector"], "cnn")

    def test_an_unknown_name_is_answered_with_the_list(self) -> None:
        face = {"face_id": 1, "face_url": self.web.put(small()), "score": 1.0}
        answers = [
            self.call("post", FACES, {"faces": [face], "detector": "dog"}),
            self.call("post", f"{FACES}?detector=dog", {"faces": [face]}),
            self.call("post", f"{USER}/recognize", {**face, "detector": ["hog"]}),
            self.client.post(f"{USER}/recognize", self.form(detector="dog")),
            self.client.post("/recognition/search", self.form(detector="dog")),
        ]
        for answer in answers:
            self.assertEqual(answer.status_code, 400)
            (message,) = json.loads(answer.content)["detector"]
            self.assertIn(", ".join(detectors.available_detectors()), message)
        self.assertFalse(Operation.objects.exists())

    def test_a_search_is_by_the_named_detector(self) -> None:
        answer = self.client.post("/recognition/search?detector=cnn", self.form())
        self.assertEqual(answer.json(), {"matches": []})

    def test_python_names_it_too(self) -> None:
        face = {"face_id": 1, "image": small(), "score": 1.0}
        added = api.add_faces(1, 2, [face], detector="cnn")
        self.assertEqual(ids(added["added"]), [1])
        self.assertTrue(api.recognize_face(1, small(), detector="cnn"))
        self.assertEqual(set(self.used()), {"cnn"})
        with self.assertRaises(ValueError):
            api.recognize_face(1, small(), detector="dog")
