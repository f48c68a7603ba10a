"""Extraction backends, and results: recorded once, in whatever order, also after crashes."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from unittest.mock import patch

import numpy
from django.core.files.base import ContentFile
from django.db import connection
from django.test import TestCase, TransactionTestCase, override_settings
from django.utils import timezone

from backend.analysis import services as analysis
from backend.analysis.models import Analysis
from backend.clients.tests import factories as clients
from backend.common.jobs import sweep
from backend.common.jobs.models import Status
from backend.photos import tasks
from backend.photos.albums import service
from backend.photos.extraction import backends, dispatch, results
from backend.photos.extraction.backends import Mode
from backend.photos.extraction.results import FaceResult
from backend.photos.files import renditions, storage
from backend.photos.matching import jobs
from backend.photos.members import consent
from backend.photos.models import Extraction, Photo, PhotoFace, Reference
from backend.photos.tests import factories
from backend.submissions import services as submissions
from tests.support import samples

off = override_settings(FACES_PHOTOS_EXTRACTION="off")


def face(seed: int = 0) -> FaceResult:
    return FaceResult(numpy.random.default_rng(seed).normal(0, 0.09, 128))


class ModeTests(TestCase):
    def test_the_settings_choose_the_extraction_backend(self) -> None:
        for named, arn, mode in (
            ("auto", "", Mode.WORKERS),
            ("auto", "arn:aws:lambda:x", Mode.LAMBDA),
            ("workers", "arn:aws:lambda:x", Mode.WORKERS),
            ("lambda", "", Mode.LAMBDA),
            ("off", "arn:aws:lambda:x", Mode.OFF),
        ):
            with (
                self.subTest(named, arn=arn),
                override_settings(FACES_PHOTOS_EXTRACTION=named, FACEDETECTION_LAMBDA_ARN=arn),
            ):
                self.assertEqual(backends.mode(), mode)

    def test_switched_off_nothing_fails_and_switched_on_again_nothing_was_forgotten(self) -> None:
        with off:
            photo = factories.processed(factories.photo(factories.album(), samples.face()))
            reference = factories.processed(factories.reference(factories.member(), samples.face()))
            sweep.once()
            self.assertEqual(dispatch.submit([photo, reference]), 0)
        for source in (photo, reference):
            source.refresh_from_db()
            found = (source.extraction, source.status, source.failure_reason)
            self.assertEqual(found, (Extraction.PROCESSING, Status.DONE, ""))
        self.assertEqual(list(backends.waiting(Photo)), [photo])
        sweep.once()
        for source in (photo, reference):
            factories.processed(source)
            self.assertEqual(source.extraction, Extraction.DONE)
        self.assertFalse(backends.waiting(Photo).exists() or backends.waiting(Reference).exists())


@off
class RecordTests(TestCase):
    def setUp(self) -> None:
        self.photo = factories.photo(factories.album(), factories.jpeg("a"))
        self.reference = factories.reference(factories.member(), factories.jpeg("b"))

    def test_a_result_is_taken_once_and_uses_the_token_up(self) -> None:
        Photo.objects.filter(pk=self.photo.pk).update(token_sha256="f" * 64)
        self.assertTrue(results.record(self.photo, [face(1), face(2)], extractor="test"))
        self.assertFalse(results.record(self.photo, [face(3)], extractor="again"))
        self.photo.refresh_from_db()
        self.assertEqual((self.photo.faces_count, self.photo.token_sha256), (2, ""))
        self.assertEqual((self.photo.extractor, self.photo.faces.count()), ("test", 2))

    def test_a_photo_without_faces_is_done_and_a_reference_without_one_is_not(self) -> None:
        for source in (self.photo, self.reference):
            self.assertTrue(results.record(source, [], extractor="test"))
        self.assertEqual(self.photo.extraction, Extraction.DONE)
        self.assertEqual(self.reference.extraction, Extraction.REJECTED)

    def test_faces_and_the_wish_to_match_them_come_together_or_not_at_all(self) -> None:
        with (
            patch.object(jobs, "photo_recorded", side_effect=RuntimeError),
            self.assertRaises(RuntimeError),
        ):
            results.record(self.photo, [face()], extractor="test")
        self.photo.refresh_from_db()
        self.assertEqual(self.photo.extraction, Extraction.PROCESSING)
        self.assertFalse(PhotoFace.objects.exists())

    def test_what_is_not_128_finite_numbers_changes_nothing(self) -> None:
        for bad in ([0.0] * 127, [float("nan")] * 128, [1e39] * 128):
            for source in (self.photo, self.reference):
                with self.assertRaises(ValueError):
                    results.record(source, [FaceResult(bad)], extractor="test")
                source.refresh_from_db()
                self.assertEqual(source.extraction, Extraction.PROCESSING)

    def test_nothing_is_recorded_of_what_is_gone(self) -> None:
        service.erase_photo(self.photo)
        consent.opt_out(self.reference.member)
        for source in (self.photo, self.reference):
            self.assertFalse(results.record(source, [face()], extractor="test"))
        self.assertFalse(PhotoFace.objects.exists())

    def test_given_up_a_photo_has_failed_and_a_reference_is_rejected(self) -> None:
        for source, ended in (
            (self.photo, Extraction.FAILED),
            (self.reference, Extraction.REJECTED),
        ):
            self.assertTrue(results.mark_failed(source))
            source.refresh_from_db()
            self.assertEqual(source.extraction, ended)
            self.assertFalse(results.mark_failed(source))

    def test_resubmitted_the_faces_go_and_come_again(self) -> None:
        factories.processed(self.photo)
        results.record(self.photo, [face()], extractor="test")
        self.assertTrue(storage.resubmit(self.photo))
        self.photo.refresh_from_db()
        self.assertEqual((self.photo.faces_count, self.photo.faces.count()), (0, 0))
        with override_settings(FACES_PHOTOS_EXTRACTION="workers"):
            factories.processed(self.photo)
        self.assertEqual(self.photo.extraction, Extraction.DONE)

    def test_what_is_in_work_and_a_good_reference_are_not_resubmitted(self) -> None:
        Photo.claim(self.photo.pk)
        results.record(self.reference, [face()], extractor="test")
        for source in (self.photo, self.reference):
            self.assertFalse(storage.resubmit(source))


class CrashTests(TestCase):
    """A worker that is killed between any two steps loses nothing and does nothing twice."""

    def setUp(self) -> None:
        self.photo = factories.photo(factories.album(), samples.face())

    def test_killed_behind_any_step_the_next_worker_ends_it(self) -> None:
        steps = [
            (renditions, "make"),
            (storage, "store_picture"),
            (analysis, "analyse"),
            (results, "record"),
        ]
        for number, (place, step) in enumerate(steps):
            with self.subTest(step):
                self.photo = factories.photo(
                    self.photo.album, samples.another(samples.face(), number)
                )
                real = getattr(place, step)

                def killed(*args: object, real: object = real, **named: object) -> None:
                    real(*args, **named)  # type: ignore[operator]
                    raise KeyboardInterrupt

                with patch.object(place, step, killed), self.assertRaises(KeyboardInterrupt):
                    tasks.process_photo(str(self.photo.pk))
                self.photo.refresh_from_db()
                self.assertEqual(self.photo.extraction, Extraction.PROCESSING)
                Photo.objects.filter(pk=self.photo.pk).update(
                    claimed_until=timezone.now() - timedelta(seconds=1)
                )
                sweep.once()
                factories.processed(self.photo)
                self.assertEqual(self.photo.extraction, Extraction.DONE)
                self.assertEqual((self.photo.faces_count, self.photo.faces.count()), (1, 1))
        self.assertFalse(Analysis.objects.exists())

    def test_the_sweep_records_failures_of_dead_workers(self) -> None:
        Photo.objects.update(
            status=Status.FAILED, processed_at=timezone.now(), reason="It is broken."
        )
        sweep.once()
        self.photo.refresh_from_db()
        found = (self.photo.extraction, self.photo.failure_reason)
        self.assertEqual(found, (Extraction.FAILED, "It is broken."))

    def test_the_same_bytes_elsewhere_keep_their_analysis(self) -> None:
        """What another app refers to is not ours to delete."""
        owner = clients.client("Alice")
        upload = ContentFile(samples.face(), "a.jpg")
        submission = submissions.accept(upload, owner_id=owner.pk)
        submissions.process(str(submission.pk))
        factories.processed(self.photo)
        self.assertTrue(Analysis.objects.filter(sha256=self.photo.sha256).exists())
        submission.refresh_from_db()
        submissions.erase(submission)
        self.assertFalse(Analysis.objects.filter(sha256=self.photo.sha256).exists())
        self.assertEqual(self.photo.faces.count(), 1)


@off
class RaceTests(TransactionTestCase):
    def test_of_many_results_at_once_one_is_recorded(self) -> None:
        photo = factories.photo(factories.album(), factories.jpeg("a"))

        def record(seed: int) -> bool:
            try:
                return results.record(
                    Photo.objects.get(pk=photo.pk), [face(seed)] * (seed + 1), extractor=str(seed)
                )
            finally:
                connection.close()

        with ThreadPoolExecutor(6) as pool:
            taken = list(pool.map(record, range(6)))
        photo.refresh_from_db()
        self.assertEqual(sum(taken), 1)
        self.assertEqual(taken.index(True), int(photo.extractor))
        self.assertEqual(photo.faces.count(), photo.faces_count)
