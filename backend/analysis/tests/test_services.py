"""The faces of the same bytes are computed once. The people: Obama and Biden, as published."""

import hashlib
import io
from datetime import timedelta
from typing import Any
from unittest import mock

import numpy
from django.db import connection
from django.db.models import QuerySet
from django.test import SimpleTestCase, TransactionTestCase, override_settings
from django.utils import timezone
from PIL import Image, ImageFile

import faceengine
from backend.analysis import compute as computing
from backend.analysis import retention, services
from backend.analysis.models import Analysis, Face
from backend.analysis.services import AnalysisError
from backend.common.http.errors import Unavailable
from backend.common.jobs import process_identity
from backend.common.jobs.models import JobTimeout, Status
from faceengine.imaging import budget, isolation
from faceengine.tests.oracle import face_recognition
from tests.support import image_factories, photographs
from wire.events import BoxShape

OBAMA = photographs.read("obama.jpg")
SHA256 = hashlib.sha256(OBAMA).hexdigest()
FACELESS = image_factories.encoded(image_factories.faceless())


def analyse(data: bytes = OBAMA, *, owner: str = "client:1") -> services.Result:
    sha256 = hashlib.sha256(data).hexdigest()
    return services.analyse(io.BytesIO(data), owner=owner, sha256=sha256)


def claimed(**changes: Any) -> Analysis:
    """A row as another worker's claim makes it."""
    claim = {
        "owner": "client:1",
        "sha256": SHA256,
        "detector": "hog",
        "detection_pixels": 1920 * 1080,
        "model": faceengine.MODEL,
        "status": Status.PROCESSING,
        "claimed_by": "elsewhere/1/1",
        "claimed_until": timezone.now() + timedelta(minutes=1),
    }
    return Analysis.objects.create(**{**claim, **changes})


class AnalysisTests(TransactionTestCase):
    def test_it_records_what_face_recognition_finds(self) -> None:
        result = analyse()
        pixels = face_recognition.load_image_file(io.BytesIO(OBAMA))
        places = face_recognition.face_locations(pixels)
        self.assertEqual([tuple(box.values()) for box in result.boxes], places)
        stored = Face.objects.get()
        encoding = stored.encoding
        (expected,) = face_recognition.face_encodings(pixels, places, model="small")
        self.assertLess(numpy.abs(encoding - expected).max(), 1e-4)

    def test_the_result_names_detector_and_model(self) -> None:
        analyse()
        analysis = Analysis.objects.get()
        self.assertEqual(
            (analysis.detector, analysis.model, analysis.status, analysis.faces_count),
            ("hog", faceengine.MODEL, Status.DONE, 1),
        )

    def test_the_same_bytes_are_analysed_once(self) -> None:
        with mock.patch.object(faceengine, "find_faces", wraps=faceengine.find_faces) as find:
            first, second = analyse(), analyse()
        self.assertEqual(first, second)
        self.assertEqual(find.call_count, 1)

    def test_the_same_bytes_of_another_owner_are_another_analysis(self) -> None:
        with mock.patch.object(faceengine, "find_faces", wraps=faceengine.find_faces) as find:
            first, second = analyse(), analyse(owner="client:2")
        self.assertNotEqual(first.analysis_id, second.analysis_id)
        self.assertEqual(find.call_count, 2)

    def test_other_detection_settings_are_another_analysis(self) -> None:
        analyse(FACELESS)
        with override_settings(FACES_MAX_DETECTION_PIXELS=20_000):
            analyse(FACELESS)
        self.assertEqual(Analysis.objects.count(), 2)

    def test_an_image_without_faces_is_known_too(self) -> None:
        self.assertEqual(analyse(FACELESS).boxes, [])
        self.assertEqual(Analysis.objects.get().status, Status.DONE)

    def test_it_takes_over_from_a_worker_that_died_on_this_machine(self) -> None:
        machine, _, _ = process_identity.identity().rpartition("/")
        claimed(claimed_by=f"{machine}/before-our-time")
        self.assertEqual(len(analyse().boxes), 1)

    def test_it_takes_over_a_claim_that_ran_out(self) -> None:
        claimed(claimed_until=timezone.now() - timedelta(seconds=1))
        self.assertEqual(len(analyse().boxes), 1)

    def test_it_waits_for_a_living_worker_and_takes_its_result(self) -> None:
        other = claimed()

        def finish(_: float) -> None:
            Analysis.objects.filter(pk=other.pk).update(
                status=Status.DONE, processed_at=timezone.now()
            )

        with mock.patch("time.sleep", finish):
            self.assertEqual(analyse(), services.Result(analysis_id=other.pk, faces=[]))

    def test_the_end_of_the_jobs_time_or_memory_while_decoding_is_permanent(self) -> None:
        for error in (JobTimeout, MemoryError):
            with (
                mock.patch.object(faceengine, "open_photo", side_effect=error),
                self.assertRaisesMessage(AnalysisError, computing.TOO_COSTLY) as caught,
            ):
                analyse()
            self.assertTrue(caught.exception.permanent)
        self.assertFalse(Analysis.objects.exists())

    def test_it_gives_up_waiting_and_asks_to_be_tried_again(self) -> None:
        claimed()
        with mock.patch("time.sleep"), self.assertRaises(services.AnalysisError) as caught:
            analyse()
        self.assertFalse(caught.exception.permanent)

    def test_a_failure_leaves_no_claim_behind(self) -> None:
        with self.assertRaises(services.AnalysisError) as caught:
            analyse(OBAMA[:1000])
        self.assertTrue(caught.exception.permanent)
        self.assertFalse(Analysis.objects.exists())

    def test_a_result_that_comes_after_its_claim_was_lost_is_dropped(self) -> None:
        def lose_the_claim(*args: Any, **kwargs: Any) -> faceengine.Faces:
            Analysis.objects.update(claimed_by="elsewhere/2/2")
            return faceengine.Faces([], 37)

        with (
            mock.patch.object(faceengine, "find_faces", lose_the_claim),
            self.assertRaises(services.AnalysisError) as caught,
        ):
            analyse()
        self.assertFalse(caught.exception.permanent)
        self.assertEqual(Analysis.objects.get().status, Status.PROCESSING)


class DrawingTests(TransactionTestCase):
    def test_the_result_is_an_upright_jpeg_without_metadata(self) -> None:
        picture = image_factories.portrait()
        turned = image_factories.oriented(picture, 6)
        box = BoxShape(top=10, right=60, bottom=70, left=20)
        jpeg = services.draw(io.BytesIO(turned), [box])
        with Image.open(io.BytesIO(jpeg)) as drawn:
            self.assertEqual(
                (drawn.format, drawn.size, dict(drawn.getexif())), ("JPEG", picture.size, {})
            )


class UnreferencedTests(TransactionTestCase):
    def test_a_new_analysis_is_kept_until_its_submission_names_it(self) -> None:
        analysis = claimed(status=Status.DONE, processed_at=timezone.now())
        self.assertFalse(services.unreferenced().exists())
        Analysis.objects.update(created_at=timezone.now() - timedelta(hours=2))
        self.assertEqual(services.unreferenced().get(), analysis)

    def test_a_failed_one_goes_too_when_it_is_forgotten(self) -> None:
        analysis = claimed(status=Status.FAILED, processed_at=timezone.now())
        services.release(analysis.pk)
        self.assertFalse(Analysis.objects.exists())

    def test_one_in_work_stays_when_it_is_forgotten(self) -> None:
        services.release(claimed().pk)
        self.assertTrue(Analysis.objects.exists())

    def test_nobody_can_come_to_refer_to_one_while_it_is_deleted(self) -> None:
        # Or its faces would be gone from a submission that is done.
        analysis = claimed(status=Status.DONE, processed_at=timezone.now())
        ask, held = retention.unreferenced, []

        def seen(**options: Any) -> QuerySet[Analysis]:
            held.append(connection.in_atomic_block)
            return ask(**options)

        with mock.patch.object(retention, "unreferenced", seen):
            services.release(analysis.pk)
        self.assertEqual(held, [True])
        self.assertFalse(Analysis.objects.exists())


class CheckTests(SimpleTestCase):
    def test_a_large_image_takes_no_memory_of_this_process(self) -> None:
        large = image_factories.encoded(Image.new("L", (5000, 4000)), "PNG")
        with mock.patch.object(ImageFile.ImageFile, "load") as load:
            services.check_image(io.BytesIO(large))
        load.assert_not_called()

    def test_while_all_decoders_are_taken_a_plain_image_is_checked_and_others_wait_in_vain(
        self,
    ) -> None:
        taken = budget.Slots(1, 1)
        heic = image_factories.encoded(image_factories.faceless(), "HEIC")
        with (
            taken.held("a", timeout_s=0),
            mock.patch.multiple(isolation, _slots=taken, _WAIT_S=0.01),
        ):
            services.check_image(io.BytesIO(FACELESS))
            with self.assertRaises(Unavailable):
                services.check_image(io.BytesIO(heic))
        services.check_image(io.BytesIO(heic))
