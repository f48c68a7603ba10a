"""Recognition of every face of an image, and its options, by each way to send the image."""

import base64
import uuid
from typing import Any, Final

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import override_settings

from backend.common.jobs.models import Status
from backend.recognition.gallery import confidence
from backend.recognition.models import Operation
from backend.recognition.tests import submissions
from backend.recognition.tests.base import analysed
from backend.recognition.tests.factories import near, person
from backend.recognition.tests.test_http import USER, HttpCase

RECOGNISE: Final = f"{USER}/recognize"


def names(answer: Any) -> list[list[str]]:
    """The names of each face's candidates."""
    return [[each["name"] for each in face["candidates"]] for face in answer.json()["faces"]]


class EveryFaceCase(HttpCase):
    def setUp(self) -> None:
        super().setUp()
        self.ann, self.bea = person(), person()
        for contact, encoding, name in ((2, self.ann, "Ann"), (3, self.bea, "Bea")):
            self.add(self.face(1, encoding), path=f"{USER}/contacts/{contact}/faces")
            self.call("patch", f"{USER}/contacts/{contact}", {"name": name})

    def recognise(self, body: Any, query: str = "", **headers: str) -> Any:
        return self.call("post", f"{RECOGNISE}{query}", body, **headers)


class EveryFaceTests(EveryFaceCase):
    def test_every_face_of_a_submission_has_its_box_quality_and_candidates(self) -> None:
        group = submissions.done(near(self.bea, 0.2), person(), near(self.ann, 0.3))
        answer = self.recognise({"submission": str(group.pk), "faces": "all"})
        self.assertEqual(names(answer), [["Bea"], [], ["Ann"]])
        faces = answer.json()["faces"]
        self.assertEqual([face["face"] for face in faces], [0, 1, 2])
        self.assertEqual(faces[1]["box"], {"top": 20, "right": 180, "bottom": 80, "left": 120})
        self.assertEqual(faces[2]["quality"]["size_px"], 62)
        (bea,) = faces[0]["candidates"]
        self.assertEqual((bea["contact_id"], bea["certainty"]), (3, "sure"))
        self.assertEqual(bea["is_enrolled"], False)
        self.assertGreater(bea["recognition_confidence"], 0.9)

    def test_no_worker_is_needed_for_a_processed_submission(self) -> None:
        group = submissions.done(near(self.ann, 0.2))
        self.enqueue.reset_mock()
        self.recognise({"submission": str(group.pk), "faces": "all"})
        self.enqueue.assert_not_called()

    def test_the_image_comes_by_url_base64_or_form_and_options_by_body_or_query(self) -> None:
        data = analysed(near(self.ann, 0.2))
        by_url, in_base64 = self.web.put(data), base64.b64encode(data).decode()
        form = {"image": SimpleUploadedFile("a.png", data), "faces": "all"}
        for answer in (
            self.recognise({"face_url": by_url, "faces": "all"}),
            self.recognise({"image": in_base64, "faces": "all"}),
            self.recognise({"face_url": by_url}, "?faces=all"),
            self.client.post(RECOGNISE, form),
        ):
            self.assertEqual(names(answer), [["Ann"]])

    def test_an_image_without_faces_has_none(self) -> None:
        empty = submissions.done()
        answer = self.recognise({"submission": str(empty.pk), "faces": "all"})
        self.assertEqual(answer.json(), {"faces": []})
        self.assertEqual(self.recognise({"submission": str(empty.pk)}).content, b"null")

    def test_a_submission_that_waits_is_analysed_now(self) -> None:
        waiting = submissions.queued(analysed(near(self.ann, 0.2)))
        answer = self.recognise({"submission": str(waiting.pk), "faces": "all"})
        self.assertEqual(names(answer), [["Ann"]])

    def test_without_all_the_answer_is_the_contracts_with_name_and_count(self) -> None:
        group = submissions.done(near(self.bea, 0.2), near(self.ann, 0.2))
        answer = self.recognise({"submission": str(group.pk)})
        (found,) = answer.json()
        self.assertEqual((found["name"], found["faces_count"]), ("Ann", 2))
        self.assertEqual(answer["Faces-Count"], "2")
        chosen = self.recognise({"submission": str(group.pk), "face": 0})
        self.assertEqual([each["name"] for each in chosen.json()], ["Bea"])

    def test_min_confidence_and_limit_are_of_the_call(self) -> None:
        probe = {"face_url": self.probe(self.ann, 0.58)}
        self.assertEqual(self.recognise({**probe, "min_confidence": 0.95}).json(), [])
        every = self.recognise({**probe, "min_confidence": 0}).json()
        self.assertEqual([each["name"] for each in every], ["Ann", "Bea"])
        one = self.recognise({**probe, "min_confidence": 0, "limit": 1}).json()
        self.assertEqual([each["name"] for each in one], ["Ann"])
        more = {**probe, "faces": "all", "min_confidence": 0, "limit": 1}
        self.assertEqual(names(self.recognise(more)), [["Ann"]])
        self.assertEqual(names(self.recognise(probe, "?faces=all&min_confidence=0.95")), [[]])

    def test_a_later_answer_is_the_same(self) -> None:
        group = submissions.done(near(self.ann, 0.2))
        answer = self.recognise({"submission": str(group.pk), "faces": "all"})
        later = self.call("get", f"/recognition/operations/{answer['Operation-Id']}/").json()
        self.assertEqual(later["result"], answer.json())
        self.call("delete", f"{USER}/contacts/2")
        later = self.call("get", f"/recognition/operations/{answer['Operation-Id']}/").json()
        self.assertEqual(later["result"]["faces"][0]["candidates"], [])

    def test_words_follow_the_confidence(self) -> None:
        for number, word in ((0.99, "sure"), (0.95, "sure"), (0.9, "likely"), (0.5, "possible")):
            self.assertEqual(confidence.in_a_word(number), word)


class RefusedTests(EveryFaceCase):
    def test_a_gallery_that_does_not_exist_is_404_with_any_option(self) -> None:
        group, unknown = submissions.done(self.ann), "/recognition/users/99/recognize"
        probe = {"face_url": self.probe(self.ann)}
        for body in (
            {**probe, "faces": "all"},
            {**probe, "faces": "largest"},
            {**probe, "limit": 3},
            {**probe, "min_confidence": 0.5},
            {"submission": str(group.pk)},
        ):
            answer = self.call("post", unknown, body)
            self.assertEqual(answer.status_code, 404, body)
            self.assertEqual(answer.json(), {"detail": "There is no user with this number."})
        self.assertEqual(self.call("post", unknown, probe).json(), [])

    def test_a_submission_that_cannot_be_used_is_422_with_the_reason(self) -> None:
        for id, reason in (
            (uuid.uuid4(), "There is no submission with this id."),
            (submissions.failed().pk, "It is broken."),
        ):
            answer = self.recognise({"submission": str(id), "faces": "all"})
            self.assertEqual((answer.status_code, answer.json()), (422, {"detail": reason}))
        one = submissions.done(self.ann)
        answer = self.recognise({"submission": str(one.pk), "face": 1})
        self.assertEqual(answer.json(), {"detail": "The image has 1 faces, counted from 0."})

    def test_another_clients_submission_does_not_exist(self) -> None:
        bob = self.key("bob")
        self.add(self.face(1), **bob)
        group = submissions.done(self.ann)
        answer = self.recognise({"submission": str(group.pk), "faces": "all"}, **bob)
        self.assertEqual(answer.status_code, 422)
        self.assertEqual(answer.json(), {"detail": "There is no submission with this id."})

    def test_invalid_options_are_400_by_field(self) -> None:
        probe = {"face_url": "http://a.example"}
        for options, field in (
            ({"faces": "some"}, "faces"),
            ({"faces": ["all"]}, "faces"),
            ({"min_confidence": 1.5}, "min_confidence"),
            ({"min_confidence": "0.5"}, "min_confidence"),
            ({"limit": 0}, "limit"),
            ({"limit": 51}, "limit"),
            ({"limit": True}, "limit"),
            ({"face": 0}, "submission"),
            ({"submission": str(uuid.uuid4())}, "image"),
        ):
            answer = self.recognise({**probe, **options})
            self.assertEqual((answer.status_code, list(answer.json())), (400, [field]), options)
        for body in ({"submission": 7}, {"submission": "x"}, {"submission": "\ud800"}):
            self.assertEqual(list(self.recognise(body).json()), ["submission"], body)
        self.assertEqual(self.recognise(probe, "?limit=x").status_code, 400)
        self.assertEqual(self.recognise({"submission": None}).status_code, 400)

    @override_settings(FACES_UPLOAD_RATE=(2, 60))
    def test_a_submission_costs_no_second_upload(self) -> None:
        group = submissions.done(self.ann)
        for _ in range(3):
            self.assertEqual(self.recognise({"submission": str(group.pk)}).status_code, 200)

    def test_erasing_the_submission_leaves_the_answer_and_no_image(self) -> None:
        group = submissions.done(self.ann)
        answer = self.recognise({"submission": str(group.pk), "faces": "all"})
        self.assertEqual(self.client.delete(f"/image/{group.pk}/").status_code, 204)
        again = self.recognise({"submission": str(group.pk), "faces": "all"})
        self.assertEqual((answer.status_code, again.status_code), (200, 422))
        self.assertFalse(Operation.objects.filter(status=Status.QUEUED).exists())
