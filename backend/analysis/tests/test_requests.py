"""An analysis that somebody waits for: asked, woken, told why not."""

import hashlib
import io
import threading
import time
from unittest import mock

import redis
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connection
from django.test import TransactionTestCase
from django.utils import timezone

import faceengine
from backend.analysis import services, tasks
from backend.analysis.models import Analysis
from backend.common import redis_clients
from backend.common.jobs import queues, sweep, wakeups
from backend.common.jobs.models import Status
from tests.support import image_factories, photographs

OBAMA = photographs.read("obama.jpg")
FACELESS = image_factories.encoded(image_factories.faceless())


def request(data: bytes = OBAMA) -> int:
    sha256 = hashlib.sha256(data).hexdigest()
    return services.request(ContentFile(data), owner="client:1", sha256=sha256)


class RequestTests(TransactionTestCase):
    def setUp(self) -> None:
        redis_clients.default().flushdb()

    def test_it_goes_ahead_of_uploads(self) -> None:
        id = request()
        self.assertEqual(queues.waiting(queues.INTERACTIVE), {f"analysis-{id}"})
        self.assertEqual(queues.IN_ORDER[0], queues.INTERACTIVE)

    def test_the_result_is_there_and_the_bytes_are_gone(self) -> None:
        id = request()
        source = Analysis.objects.get().source.name or ""
        self.assertTrue(default_storage.exists(source))
        tasks.compute(str(id))
        result = services.wait(id, timeout_s=0)
        assert result is not None
        self.assertEqual(len(result.boxes), 1)
        self.assertFalse(default_storage.exists(source))
        self.assertEqual(Analysis.objects.get().source.name, "")

    def test_asked_for_twice_it_is_one_analysis_with_one_file(self) -> None:
        self.assertEqual(request(), request())
        self.assertEqual(len(queues.waiting(queues.INTERACTIVE)), 1)
        with mock.patch.object(faceengine, "find_faces", wraps=faceengine.find_faces) as find:
            for id in Analysis.objects.values_list("pk", flat=True):
                tasks.compute(str(id))
                tasks.compute(str(id))
        self.assertEqual(find.call_count, 1)

    def test_what_is_known_is_not_asked_for_again(self) -> None:
        tasks.compute(str(request()))
        redis_clients.default().flushdb()
        request()
        self.assertEqual(queues.waiting(queues.INTERACTIVE), set())

    def test_who_waits_is_told_when_it_fails(self) -> None:
        id = request(b"not an image")
        tasks.compute(str(id))
        with self.assertRaises(services.AnalysisError) as caught:
            services.wait(id, timeout_s=1)
        self.assertIn("image", str(caught.exception))

    def test_what_failed_may_be_asked_for_again(self) -> None:
        id = request(b"not an image")
        tasks.compute(str(id))
        self.assertEqual(request(b"not an image"), id)
        self.assertEqual(Analysis.objects.get().status, Status.QUEUED)

    def test_past_the_bound_there_is_no_result_yet(self) -> None:
        self.assertIsNone(services.wait(request(), timeout_s=0.05))

    def test_an_upload_of_the_same_bytes_answers_those_who_wait(self) -> None:
        id = request()
        sha256 = hashlib.sha256(OBAMA).hexdigest()
        found = services.analyse(io.BytesIO(OBAMA), owner="client:1", sha256=sha256)
        self.assertEqual(found.analysis_id, id)
        self.assertEqual(services.wait(id, timeout_s=0), found)

    def test_a_worker_that_died_with_it_in_hand_costs_another_try(self) -> None:
        id = request()
        past = timezone.now()
        Analysis.objects.update(status=Status.PROCESSING, attempts=1, claimed_until=past)
        sweep.once()
        self.assertEqual(Analysis.objects.get().status, Status.QUEUED)
        tasks.compute(str(id))
        self.assertEqual(Analysis.objects.get().status, Status.DONE)

    def test_a_row_left_by_a_dead_upload_worker_goes(self) -> None:
        request()
        Analysis.objects.update(status=Status.PROCESSING, source="", claimed_until=timezone.now())
        sweep.once()
        self.assertFalse(Analysis.objects.exists())


class WaitingTests(TransactionTestCase):
    def setUp(self) -> None:
        redis_clients.default().flushdb()
        self.analysis_id = Analysis.objects.create(
            sha256="0" * 64, model="m", detector="hog", detection_pixels=1
        ).pk

    def test_it_sleeps_until_it_is_woken_and_does_not_poll(self) -> None:
        looks = []

        def wait(kind: str, id: int, *, seen: str, timeout_s: float) -> str:
            looks.append(seen)
            return wake(kind, id, seen=seen, timeout_s=timeout_s)

        wake = wakeups.wait

        def finish() -> None:
            Analysis.objects.update(status=Status.DONE, processed_at=timezone.now())
            wakeups.notify("analysis", self.analysis_id)
            connection.close()

        timer = threading.Timer(0.3, finish)
        timer.start()
        with mock.patch.object(wakeups, "wait", wait):
            self.assertIsNotNone(services.wait(self.analysis_id, timeout_s=60))
        timer.join()
        self.assertEqual(len(looks), 1)

    def test_an_old_answer_wakes_only_once(self) -> None:
        wakeups.notify("analysis", self.analysis_id)
        started = time.monotonic()
        self.assertIsNone(services.wait(self.analysis_id, timeout_s=0.2))
        self.assertGreaterEqual(time.monotonic() - started, 0.2)

    def test_without_redis_it_looks_again_after_a_while(self) -> None:
        def finish(_: float) -> None:
            Analysis.objects.update(status=Status.DONE, processed_at=timezone.now())

        with (
            mock.patch.object(redis_clients, "blocking", side_effect=redis.ConnectionError),
            mock.patch.object(time, "sleep", finish),
        ):
            self.assertIsNotNone(services.wait(self.analysis_id, timeout_s=60))
