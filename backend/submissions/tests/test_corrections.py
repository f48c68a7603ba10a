"""Corrections by hand: boxes that are drawn, and boxes that are hidden, on every copy."""

import io
from typing import Any
from unittest import mock

import numpy
from django.core.files.base import ContentFile
from django.test import Client as Http
from django.test import TransactionTestCase, override_settings
from PIL import Image

from backend.analysis.models import Analysis, Face, Mark
from backend.clients import erasure
from backend.clients.models import ANONYMOUS_ID
from backend.clients.tests import factories
from backend.common import redis_clients
from backend.submissions import services, tasks
from backend.submissions.models import Correction, Submission
from tests.support import data_residue, image_factories, photographs

FACELESS = image_factories.encoded(image_factories.faceless(), "PNG")
OBAMA = photographs.read("obama.jpg")
WALL: dict[str, int] = {"top": 20, "right": 100, "bottom": 100, "left": 20}


class CorrectionsCase(TransactionTestCase):
    def setUp(self) -> None:
        redis_clients.default().flushdb()
        # No worker runs: what is enqueued is done at once.
        done = mock.patch.object(Correction, "enqueue", lambda each: tasks.correct(str(each.pk)))
        done.start()
        self.addCleanup(done.stop)

    def submitted(self, data: bytes, name: str = "anonymous", detector: str = "") -> Submission:
        owner_id = ANONYMOUS_ID if name == "anonymous" else factories.client(name).pk
        file = ContentFile(data, name="a.png")
        submission = services.accept(file, owner_id=owner_id, detector=detector)
        tasks.process(str(submission.pk))
        submission.refresh_from_db()
        return submission

    def status(self, submission: Submission) -> Any:
        return Http().get(f"/image/{submission.pk}/").json()

    def change(self, method: str, submission: Submission, **body: Any) -> Any:
        path = f"/image/{submission.pk}/faces/"
        return getattr(Http(), method)(path, body, content_type="application/json")

    def draw(self, submission: Submission, box: dict[str, int]) -> Any:
        return self.change("post", submission, box=box)

    def hide(self, submission: Submission, face: int) -> Any:
        return self.change("delete", submission, face=face)


def missed() -> tuple[bytes, Any]:
    """An image, and the box that a detector gives its face."""
    submission = services.accept(ContentFile(OBAMA, name="a.jpg"), owner_id=ANONYMOUS_ID)
    tasks.process(str(submission.pk))
    submission.refresh_from_db()
    (face,) = services.event_faces(submission)
    services.erase(submission)
    return OBAMA, face["box"]


def picture(submission: Submission) -> Image.Image:
    submission.refresh_from_db()
    with submission.result.open("rb") as file:
        return Image.open(io.BytesIO(file.read())).convert("RGB")


def differ(one: Image.Image, other: Image.Image) -> bool:
    return bool(numpy.abs(numpy.asarray(one, "i4") - numpy.asarray(other, "i4")).max() > 100)


class DrawingTests(CorrectionsCase):
    def without_faces(self, data: bytes = OBAMA) -> Submission:
        """An image whose face the detector missed."""
        with mock.patch("faceengine.find_faces", side_effect=_nothing):
            return self.submitted(data)

    def test_a_drawn_face_is_encoded_and_shown_as_by_hand(self) -> None:
        _, box = missed()
        submission = self.without_faces()
        self.assertEqual(self.status(submission)["faces_count"], 0)
        answer = self.draw(submission, box)
        self.assertEqual(answer.status_code, 201, answer.content)
        face = answer.json()
        self.assertEqual((face["face"], face["by_hand"], face["box"]), (0, "drawn", box))
        self.assertEqual(len(face["encoding"]), 128)
        self.assertIsNone(face["quality"]["too_poor"])
        status = self.status(submission)
        self.assertEqual(status["faces"], [{"box": box, "by_hand": "drawn"}])
        self.assertEqual(status["faces_count"], 1)
        self.assertIsNotNone(status["image_url"])
        self.assertTrue(differ(picture(submission), Image.open(io.BytesIO(OBAMA)).convert("RGB")))
        crop = Http().get(f"/image/{submission.pk}/faces/0/crop.jpg")
        self.assertEqual(crop.status_code, 200)
        self.assertFalse(Correction.objects.exclude(status="done").exists())

    def test_what_is_too_unclear_is_kept_as_a_box_with_the_reason(self) -> None:
        submission = self.submitted(FACELESS)
        answer = self.draw(submission, WALL)
        self.assertEqual(answer.status_code, 201)
        self.assertEqual(answer.json()["quality"]["too_poor"], "unclear")
        self.assertIsNone(answer.json()["encoding"])
        (face,) = Http().get(f"/image/{submission.pk}/faces/").json()["faces"]
        self.assertIsNone(face["encoding"])
        self.assertEqual(face["by_hand"], "drawn")

    def test_it_is_on_every_copy_and_in_later_analyses(self) -> None:
        _, box = missed()
        first, copy = self.without_faces(), self.without_faces()
        self.assertEqual(self.draw(first, box).status_code, 201)
        self.assertEqual(self.status(copy)["faces"], [{"box": box, "by_hand": "drawn"}])
        self.assertEqual(self.status(copy)["faces_count"], 1)
        self.assertIsNotNone(self.status(copy)["image_url"])
        with mock.patch("faceengine.find_faces", side_effect=_nothing):
            other = self.submitted(OBAMA, detector="cnn")
        self.assertEqual(Analysis.objects.count(), 2)
        self.assertEqual(self.status(other)["faces"], [{"box": box, "by_hand": "drawn"}])

    def test_the_contracts_answer_is_that_of_the_detector(self) -> None:
        submission = self.submitted(FACELESS)
        self.draw(submission, WALL)
        with mock.patch.object(Analysis, "enqueue", lambda each: None):
            answer = self.client.post(
                "/generate_face_encoding", {"upload_file": ContentFile(FACELESS, name="a.png")}
            )
        self.assertEqual(answer.status_code, 422)
        self.assertEqual(answer.json()["message"], "No faces found!")

    def test_a_face_that_is_there_gets_no_second_box(self) -> None:
        submission = self.submitted(OBAMA)
        (face,) = self.status(submission)["faces"]
        answer = self.draw(submission, face["box"])
        self.assertEqual((answer.status_code, answer.json()["face"]), (200, 0))
        self.assertEqual(self.status(submission)["faces"], [face])
        self.assertFalse(Mark.objects.exists())

    def test_what_is_no_box_of_the_image_is_refused(self) -> None:
        submission = self.submitted(FACELESS)
        outside = {"top": 9000, "right": 9100, "bottom": 9100, "left": 9000}
        self.assertEqual(self.draw(submission, outside).status_code, 422)
        bodies: list[dict[str, Any]] = [
            {},
            {"box": {**WALL, "right": 21}},
            {"box": {**WALL, "left": "x"}},
            {"box": 7},
            {"box": None},
            {"box": []},
            {"box": {**WALL, "left": 10**12}},
            {"box": WALL, "face": 0},
            {"face": 5},
            {"face": -1},
        ]
        for body in bodies:
            with self.subTest(body):
                answer = self.change("post", submission, **body)
                self.assertEqual(answer.status_code, 400)
                for errors in answer.json().values():
                    self.assertTrue(errors and all(isinstance(each, str) for each in errors))
        self.assertEqual(self.hide(submission, 0).status_code, 400)
        self.assertFalse(Mark.objects.exists() or Face.objects.exists())

    def test_an_image_that_is_not_processed_has_no_faces_to_correct(self) -> None:
        submission = services.accept(ContentFile(OBAMA, name="a.jpg"), owner_id=ANONYMOUS_ID)
        self.assertEqual(self.draw(submission, WALL).status_code, 409)
        self.assertEqual(self.hide(submission, 0).status_code, 409)

    @override_settings(FACES_SYNC_RESPONSE_TIMEOUT_S=0.05)
    def test_without_a_worker_it_is_accepted_and_done_later(self) -> None:
        submission = self.submitted(FACELESS)
        with mock.patch.object(Correction, "enqueue", lambda each: True):
            answer = self.draw(submission, WALL)
        self.assertEqual(answer.status_code, 202)
        self.assertIn(str(submission.pk), answer.json()["status_url"])
        tasks.correct(str(Correction.objects.get().pk))
        self.assertEqual(self.status(submission)["faces_count"], 1)

    def test_there_is_a_bound(self) -> None:
        submission = self.submitted(FACELESS)
        with mock.patch("backend.analysis.marks.MOST", 1):
            self.assertEqual(self.draw(submission, WALL).status_code, 201)
            other = {"top": 120, "right": 200, "bottom": 200, "left": 120}
            self.assertEqual(self.draw(submission, other).status_code, 422)


class HidingTests(CorrectionsCase):
    def test_a_hidden_box_keeps_its_place_and_is_on_no_picture(self) -> None:
        pair = image_factories.encoded(image_factories.side_by_side(width=300), "PNG")
        submission, copy = self.submitted(pair), self.submitted(pair)
        before = self.status(submission)
        self.assertEqual(self.hide(submission, 0).status_code, 204)
        for each in (submission, copy):
            status = self.status(each)
            hidden = {**before["faces"][0], "by_hand": "hidden"}
            self.assertEqual(status["faces"], [hidden, before["faces"][1]])
            self.assertEqual(status["faces_count"], 1)
        self.assertFalse(self.has_box(copy, before["faces"][0]["box"]))
        self.assertTrue(self.has_box(copy, before["faces"][1]["box"]))
        # Shown again.
        answer = self.change("post", submission, face=0)
        self.assertEqual((answer.status_code, answer.json()["face"]), (200, 0))
        self.assertEqual(self.status(copy)["faces"], before["faces"])
        self.assertTrue(self.has_box(copy, before["faces"][0]["box"]))
        self.assertFalse(Mark.objects.exists())

    def has_box(self, submission: Submission, box: dict[str, int]) -> bool:
        """Whether the picture differs from the image along the box's upper edge."""
        with submission.image.open("rb") as file:
            image = Image.open(io.BytesIO(file.read())).convert("RGB")
        edge = (box["left"], box["top"] - 4, box["right"], box["top"] + 4)
        return differ(picture(submission).crop(edge), image.crop(edge))

    def test_another_detector_does_not_bring_it_back(self) -> None:
        submission = self.submitted(OBAMA)
        self.hide(submission, 0)
        other = self.submitted(OBAMA, detector="cnn")
        self.assertEqual(Analysis.objects.count(), 2)
        self.assertEqual([face["by_hand"] for face in self.status(other)["faces"]], ["hidden"])
        self.assertEqual(self.status(other)["faces_count"], 0)
        self.assertIsNone(self.status(other)["image_url"])

    def test_a_drawn_box_is_gone_with_its_numbers_and_the_others_keep_theirs(self) -> None:
        submission = self.submitted(OBAMA)
        (face,) = self.status(submission)["faces"]
        self.hide(submission, 0)
        self.draw(submission, WALL)
        self.hide(submission, 1)
        marks = [each.get("by_hand") for each in self.status(submission)["faces"]]
        self.assertEqual(marks, ["hidden", "hidden"])
        self.assertFalse(Face.objects.with_encodings().filter(index=1).exclude(encoding=None))
        self.assertFalse(Mark.objects.filter(kind="drawn").exists())
        # Drawn again it is a new one.
        self.assertEqual(self.draw(submission, WALL).json()["face"], 2)

    def test_twice_is_once(self) -> None:
        submission = self.submitted(OBAMA)
        for _ in range(2):
            self.assertEqual(self.hide(submission, 0).status_code, 204)
        self.assertEqual(Mark.objects.count(), 1)


class ErasureTests(CorrectionsCase):
    def test_with_the_last_copy_the_corrections_are_gone(self) -> None:
        first, copy = self.submitted(FACELESS), self.submitted(FACELESS)
        self.draw(first, WALL)
        services.erase(first)
        self.assertTrue(Mark.objects.exists())
        services.erase(copy)
        self.assertFalse(Mark.objects.exists() or Face.objects.exists())
        again = self.submitted(FACELESS)
        self.assertEqual(self.status(again)["faces"], [])

    def test_an_analysis_that_stays_for_another_reason_has_none_of_them(self) -> None:
        submission = self.submitted(OBAMA)
        with mock.patch.object(Analysis, "enqueue", lambda each: None):
            self.client.post(
                "/generate_face_encoding", {"upload_file": ContentFile(OBAMA, name="a.jpg")}
            )
        self.hide(submission, 0)
        self.draw(submission, WALL)
        services.erase(submission)
        (face,) = Face.objects.all()
        self.assertEqual((face.index, face.by_hand), (0, ""))

    def test_nothing_is_left_of_an_erased_client(self) -> None:
        owner = factories.client("alice").pk
        with mock.patch("faceengine.find_faces", side_effect=_nothing):
            submission = self.submitted(OBAMA, "alice")
        headers = factories.headers("alice")
        _, box = missed()
        Http().post(
            f"/image/{submission.pk}/faces/",
            {"box": box},
            content_type="application/json",
            headers=headers,
        )
        traces = {"encoding": data_residue.of(Face.objects.with_encodings().get().encoding)}
        self.assertEqual(set(data_residue.found(traces)), {"encoding"})
        erasure.erase_now(owner, actor="test")
        self.assertEqual(data_residue.found(traces), {})
        self.assertFalse(Mark.objects.exists() or Correction.objects.exists())


def _nothing(*_: Any, **__: Any) -> Any:
    from faceengine import Faces

    return Faces([], 40)
