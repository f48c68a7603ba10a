"""Entries of the queue: as rq writes them, taken and ended in one step each."""

import uuid
from multiprocessing import Value
from typing import Any
from unittest import mock

from django.conf import settings
from django.core.files.base import ContentFile
from django.test import TransactionTestCase
from rq.job import Job as QueueEntry

from backend.clients.models import ANONYMOUS_ID
from backend.common import redis_clients
from backend.common.jobs import queues
from backend.common.jobs.registration import Registration
from backend.common.jobs.worker import Worker
from backend.submissions import services
from backend.submissions.models import Submission
from tests.support import image_factories

FACELESS = image_factories.encoded(image_factories.faceless())
TASK = "backend.submissions.tasks.process"


def accept() -> Submission:
    return services.accept(ContentFile(FACELESS, name="a.jpg"), owner_id=ANONYMOUS_ID)


class QueueEntryTests(TransactionTestCase):
    def setUp(self) -> None:
        self.redis: Any = redis_clients.for_rq()
        self.redis.flushdb()
        self.worker = Worker("entries", Value("d", 0.0, lock=False))
        self.key = "rq:worker:entries"

    def stored(self, job_id: str) -> dict[bytes, bytes]:
        fields: dict[bytes, bytes] = self.redis.hgetall(QueueEntry.key_for(job_id))
        self.assertTrue({b"created_at", b"enqueued_at"} <= fields.keys())
        return {name: value for name, value in fields.items() if not name.endswith(b"ed_at")}

    def test_an_entry_is_stored_as_rq_stores_it(self) -> None:
        id = str(uuid.uuid4())
        queues.enqueue(queues.UPLOADS, TASK, id, job_id="ours")
        rq = queues.queue(queues.UPLOADS).enqueue_call(
            TASK, args=(id,), timeout=60, result_ttl=0, failure_ttl=queues.FAILURE_TTL_S
        )
        theirs = {**self.stored(rq.id), b"timeout": self.stored("ours")[b"timeout"]}
        self.assertEqual(self.stored("ours"), theirs)
        read = QueueEntry.fetch("ours", self.redis, serializer=rq.serializer)
        self.assertEqual((read.func_name, read.args, read.origin), (TASK, [id], queues.UPLOADS))
        self.assertEqual(self.redis.lrange("rq:queue:uploads", 0, -1), [b"ours", rq.id.encode()])

    def test_an_entry_whose_job_had_failed_does_not_expire(self) -> None:
        queues.enqueue(queues.UPLOADS, TASK, "1", job_id="again")
        self.redis.expire(QueueEntry.key_for("again"), 60)
        queues.enqueue(queues.UPLOADS, TASK, "1", job_id="again")
        self.assertEqual(self.redis.ttl(QueueEntry.key_for("again")), -1)

    def test_a_busy_worker_takes_the_next_entry_in_the_round_trip_that_ends_the_last(self) -> None:
        rows = [accept() for _ in range(3)]
        seen = []
        task = lambda _: seen.append(self.redis.hgetall(self.key))  # noqa: E731
        client = self.worker._redis
        with (
            mock.patch(TASK, side_effect=task),
            mock.patch.object(client, "execute_command", wraps=client.execute_command) as asked,
        ):
            for _ in rows:
                self.worker.run_next()
        self.assertEqual([call.args[0] for call in asked.call_args_list], ["EVAL"] * 3)
        current = [{b"state": b"busy", b"current_job": row.job_id.encode()} for row in rows]
        self.assertEqual(seen, current)
        there = [self.redis.exists(QueueEntry.key_for(row.job_id)) for row in rows]
        self.assertEqual(there, [0, 0, 1])

    def test_the_last_entry_is_ended_when_the_worker_looks_for_the_next(self) -> None:
        row = accept()
        with mock.patch(TASK), mock.patch("backend.common.jobs.worker._BLOCK_S", 0.01):
            for _ in range(2):
                self.worker.run_next()
        self.assertEqual(self.redis.hgetall(self.key), {b"state": b"idle"})
        self.assertFalse(self.redis.exists(QueueEntry.key_for(row.job_id)))

    def test_a_worker_without_a_job_gives_its_memory_back_once(self) -> None:
        accept()
        with (
            mock.patch(TASK),
            mock.patch("backend.common.jobs.worker._BLOCK_S", 0.01),
            mock.patch(settings.WORKER_REST) as rest,
        ):
            calls = []
            for _ in range(4):
                self.worker.run_next()
                calls.append(rest.call_count)
        self.assertEqual(calls, [0, 1, 1, 1])

    def test_a_worker_that_stops_ends_its_last_entry(self) -> None:
        row = accept()
        with (
            mock.patch(TASK, side_effect=lambda _: self.worker.stop()),
            mock.patch.object(Registration, "start"),
        ):
            self.worker.run()
        self.assertFalse(self.redis.exists(QueueEntry.key_for(row.job_id)))

    def test_a_row_that_is_enqueued_anew_while_it_runs_keeps_its_entry(self) -> None:
        row = accept()
        with (
            mock.patch(TASK, side_effect=lambda _: row.enqueue()),
            mock.patch.object(Registration, "start"),
        ):
            self.worker.run_next()
        self.worker._forget_ended()
        self.assertTrue(self.redis.exists(QueueEntry.key_for(row.job_id)))

    def test_interactive_entries_come_first(self) -> None:
        queues.enqueue(queues.UPLOADS, TASK, str(uuid.uuid4()), job_id="later")
        queues.enqueue(queues.INTERACTIVE, "backend.analysis.tasks.compute", "7", job_id="at-once")
        with mock.patch("backend.analysis.tasks.compute") as compute:
            self.worker.run_next()
        compute.assert_called_once_with("7")
