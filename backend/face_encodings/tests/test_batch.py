"""Several images at once: one job, one engine call, an answer for each."""

from unittest import mock

from django.core.files.storage import default_storage
from django.test import override_settings

import faceengine
from backend.analysis.models import Analysis
from backend.common.jobs.models import Status
from backend.face_encodings import batch
from backend.face_encodings.models import EncodedImage
from backend.face_encodings.tests.base import BIDEN, FACELESS, OBAMA, TWO, EncodingCase, sha256
from tests.support import image_factories

SMALL = [
    image_factories.encoded(image_factories.portrait("obama.jpg", width))
    for width in range(200, 209)
]


class BatchTests(EncodingCase):
    def test_each_is_answered_in_order_as_if_it_came_alone(self) -> None:
        answer = self.batch(OBAMA, FACELESS, b"not an image", TWO, OBAMA)
        self.assertEqual(answer.status_code, 200)
        results = answer.json()["results"]
        self.assertEqual([each["status"] for each in results], [200, 422, 422, 200, 200])
        alone = [self.post(data).json() for data in (OBAMA, TWO)]
        self.assertEqual(results[0], {"status": 200, **alone[0]})
        self.assertEqual(results[3], {"status": 200, **alone[1]})
        self.assertEqual(results[4], results[0])
        self.assertEqual(results[1]["message"], "No faces found!")
        self.assertTrue(results[2]["message"].endswith("."))
        self.assertEqual(self.statistics()[0], 2)

    def test_they_are_one_job_and_one_call_of_the_engine(self) -> None:
        with mock.patch.object(faceengine, "encode_many", wraps=faceengine.encode_many) as many:
            self.batch(*SMALL[:8])
        self.assertEqual((self.enqueue.call_count, many.call_count), (1, 1))
        took = Analysis.objects.values_list("engine_s", flat=True)
        self.assertGreater(min(took), 0)

    def test_more_than_a_few_are_shared_among_workers(self) -> None:
        results = self.batch(*SMALL).json()["results"]
        self.assertEqual([each["status"] for each in results], [200] * 9)
        self.assertEqual(self.enqueue.call_count, 2)

    def test_one_that_breaks_the_engine_spoils_no_other(self) -> None:
        """It passed the check and fails all the same: the others are done singly."""
        with mock.patch.object(faceengine, "check_image"):
            results = self.batch(OBAMA, OBAMA[:5000], BIDEN).json()["results"]
        self.assertEqual([each["status"] for each in results], [200, 422, 200])
        self.assertEqual(set(Analysis.objects.values_list("source", flat=True)), {""})
        self.assertEqual(EncodedImage.objects.count(), 2)

    def test_a_worker_that_breaks_in_the_middle_leaves_work_for_the_sweep(self) -> None:
        with (
            mock.patch.object(faceengine, "encode_many", side_effect=OSError),
            mock.patch.object(faceengine, "find_faces", side_effect=OSError),
            self.settings(FACES_SYNC_RESPONSE_TIMEOUT_S=0.05),
        ):
            results = self.batch(OBAMA, TWO).json()["results"]
        self.assertEqual([each["status"] for each in results], [202, 202])
        self.assertEqual(
            set(Analysis.objects.values_list("status", flat=True)), {Status.QUEUED.value}
        )

    def test_no_bytes_are_left_behind(self) -> None:
        with mock.patch.object(default_storage, "delete", wraps=default_storage.delete) as delete:
            self.batch(OBAMA, FACELESS, TWO)
        gone = {call.args[0] for call in delete.call_args_list}
        self.assertEqual(len(gone), 3)
        self.assertFalse(any(default_storage.exists(name) for name in gone))

    @override_settings(FACES_SYNC_RESPONSE_TIMEOUT_S=0.05)
    def test_what_takes_longer_has_an_address(self) -> None:
        self.enqueue.side_effect = None
        (result,) = self.batch(OBAMA).json()["results"]
        self.assertEqual(result["status"], 202)
        self.assertTrue(result["face_encoding_url"].endswith(sha256(OBAMA)))

    @mock.patch.object(batch, "MAX_IMAGES", 2)
    def test_too_many_and_none_are_422(self) -> None:
        self.assertIn("At most 2", self.batch(OBAMA, TWO, BIDEN).json()["message"])
        answer = self.client.post("/face_encodings/batch", {})
        self.assertEqual((answer.status_code, answer.json()["message"]), (422, "No image sent!"))

    @override_settings(FACES_UPLOAD_RATE=(3, 60))
    def test_a_batch_costs_as_many_uploads_as_it_has_images(self) -> None:
        self.assertEqual(self.batch(OBAMA, OBAMA).status_code, 200)
        self.assertEqual(self.batch(OBAMA, OBAMA).status_code, 429)

    @override_settings(FACES_MAX_UPLOAD_BYTES=len(OBAMA) - 1)
    def test_one_that_is_too_large_says_so(self) -> None:
        results = self.batch(OBAMA, FACELESS).json()["results"]
        self.assertEqual([each["status"] for each in results], [413, 422])
