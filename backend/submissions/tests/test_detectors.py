"""An upload may name its detector, which it keeps whatever the settings become."""

from typing import Any

from django.core.files.base import ContentFile
from django.test import override_settings

from backend.analysis import detectors
from backend.analysis.models import Analysis, Face
from backend.submissions import services, tasks
from backend.submissions.models import Submission
from backend.submissions.tests.test_services import OBAMA, SubmissionCase, events_of


class DetectorTests(SubmissionCase):
    def upload(self, detector: str = "", query: str = "") -> Any:
        form = {"image": ContentFile(OBAMA, name="obama.jpg"), "detector": detector}
        return self.client.post(f"/image/{query}", form)

    def done(self, answer: Any) -> Any:
        """The status resource, after the job."""
        tasks.process(answer.json()["id"])
        return self.client.get(f"/image/{answer.json()['id']}/").json()

    def test_the_status_names_the_detector_once_it_is_done(self) -> None:
        answer = self.upload()
        self.assertIsNone(self.client.get(f"/image/{answer.json()['id']}/").json()["detector"])
        self.assertEqual(self.done(answer)["detector"], detectors.default_detector())

    def test_a_field_or_the_query_names_the_detector(self) -> None:
        for answer in (self.upload("cnn"), self.upload(query="?detector=cnn")):
            self.assertEqual(self.done(answer)["detector"], "cnn")

    def test_an_unknown_name_is_answered_with_the_list(self) -> None:
        for answer in (self.upload("dog"), self.upload(query="?detector=dog")):
            self.assertEqual(answer.status_code, 400)
            (message,) = answer.json()["detector"]
            self.assertIn(", ".join(detectors.available_detectors()), message)
        self.assertFalse(Submission.objects.exists())

    def test_the_same_bytes_are_analysed_by_each_detector(self) -> None:
        default, cnn = self.done(self.upload()), self.done(self.upload("cnn"))
        self.assertNotEqual(default["faces"], cnn["faces"])
        self.assertEqual(self.done(self.upload())["faces"], default["faces"])
        self.assertEqual(Analysis.objects.count(), 2)

    def test_an_accepted_upload_keeps_its_detector(self) -> None:
        answer = self.upload("hog")
        with override_settings(FACES_DETECTOR="cnn"):
            self.assertEqual(self.done(answer)["detector"], "hog")

    def test_a_turned_face_says_so_in_status_faces_and_event(self) -> None:
        status = self.done(self.upload())
        submission = Submission.objects.get()
        self.assertNotIn("rotation", status["faces"][0])
        Face.objects.update(rotation=90)
        for path in ("", "faces/"):
            (face,) = self.client.get(f"/image/{submission.pk}/{path}").json()["faces"]
            self.assertEqual(face["rotation"], 90)
        (event,) = events_of(submission)
        self.assertNotIn("rotation", event["frame"])
        self.assertEqual(services.event_faces(submission)[0]["rotation"], 90)
