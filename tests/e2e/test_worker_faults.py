"""What jobs can do to their worker, and that it costs nothing else: real workers, real faults."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from rq import Queue, SimpleWorker
from rq.command import send_stop_job_command
from rq.serializers import JSONSerializer

from tests.support import samples, service_process
from tests.support.stack import Stack, wait_until
from tests.support.stack_case import StackCase

_FEW_JOBS = """
import django
django.setup()
from backend.common.jobs import worker, worker_pool
worker._MAX_JOBS = 3
worker_pool.run(2)
"""

_BAD_JOBS = """
import django
django.setup()
from backend.common.jobs import worker, worker_pool
known = worker.known_tasks()
names = {f"tests.support.bad_jobs.{name}" for name in ("crash", "hang", "sleep", "grow")}
worker.known_tasks = lambda: known | names
worker_pool.run(1)
"""

_numbers = itertools.count(1)


def replaced(stack: Stack) -> int:
    """How many workers were worn out."""
    return stack.pool.output().count("worn out")


class BadJobCase(StackCase):
    @contextmanager
    def next_job(self, name: str) -> Iterator[list[str]]:
        """Two submissions; the job of `bad_jobs` called `name` comes first, for the first of them.

        Its own job is not there: the sweep makes it, as the row says.
        """
        self.stack.pool.stop()
        ids = [self.stack.upload(samples.another(samples.face(), next(_numbers))) for _ in "12"]
        with self.stack.redis.client(decode_responses=False) as client:
            queue = Queue("uploads", connection=client, serializer=JSONSerializer)
            queue.remove(f"submission-{ids[0]}")
            queue.enqueue(f"tests.support.bad_jobs.{name}", ids[0], at_front=True)
        self.stack.pool.start()
        self.stack.wait_ready()
        yield ids


class BadJobTests(BadJobCase):
    options: ClassVar[dict[str, Any]] = {
        "worker_program": _BAD_JOBS,
        "settings": {"FACES_GALLERY_CACHE_BYTES": "0"},
    }

    def test_a_worker_that_crashes_costs_its_job_one_attempt(self) -> None:
        listener = self.listen()
        with self.next_job("crash") as ids:
            resources = self.assert_each_ended_once(ids, listener)
        self.assertEqual([resources[id]["attempts"] for id in ids], [2, 1])
        self.assertIn("ended with -11", self.stack.pool.output())

    def test_a_worker_that_grows_is_replaced_after_its_job(self) -> None:
        with self.next_job("grow") as ids:
            resources = self.assert_each_ended_once(ids)
        self.assertEqual([resources[id]["attempts"] for id in ids], [1, 1])
        wait_until(lambda: replaced(self.stack) == 1, "the worker is replaced")

    def test_a_job_that_is_stopped_on_its_page_is_tried_again(self) -> None:
        with self.next_job("sleep") as ids:
            worker = self.stack.wait_in_work(ids[0])
            # Again, if the worker does not listen yet.
            wait_until(lambda: self.stopped(worker), "the worker ends", poll_s=0.5)
            resources = self.assert_each_ended_once(ids)
        self.assertEqual([resources[id]["attempts"] for id in ids], [2, 1])

    def stopped(self, worker: int) -> bool:
        """Send the command of the page; whether the process has ended."""
        with self.stack.redis.client(decode_responses=False) as client:
            for each in SimpleWorker.all(client, serializer=JSONSerializer):
                job_id = each.get_current_job_id()
                if each.pid == worker and job_id and service_process.is_alive(worker):
                    send_stop_job_command(client, job_id, serializer=JSONSerializer)
        return not service_process.is_alive(worker)


class HangingJobTests(BadJobCase):
    options: ClassVar[dict[str, Any]] = {
        "worker_program": _BAD_JOBS,
        # Long enough for the second attempt on a machine that does much else.
        "settings": {"FACES_JOB_TIMEOUT_S": "10"},
    }

    def test_a_job_that_hangs_in_c_is_killed_from_outside_and_tried_again(self) -> None:
        listener = self.listen()
        with self.next_job("hang") as ids:
            resources = self.assert_each_ended_once(ids, listener)
        self.assertEqual([resources[id]["attempts"] for id in ids], [2, 1])
        self.assertIn("a job hangs", self.stack.pool.output())


class RecycledTests(StackCase):
    options: ClassVar[dict[str, Any]] = {"worker_program": _FEW_JOBS}

    def test_workers_that_are_replaced_all_the_time_lose_nothing(self) -> None:
        listener = self.listen()
        ids = [
            self.stack.upload(samples.another(samples.no_face(), next(_numbers))) for _ in range(40)
        ]
        resources = self.assert_each_ended_once(ids, listener)
        self.assertEqual({each["attempts"] for each in resources.values()}, {1})
        self.assertGreaterEqual(replaced(self.stack), 12)


class NoRedisTests(StackCase):
    options: ClassVar[dict[str, Any]] = {"workers": 4}

    def test_workers_and_sweep_that_race_for_rows_do_each_once(self) -> None:
        listener = self.listen()
        self.stack.redis.stop()
        ids = [
            self.stack.upload(samples.another(samples.no_face(), next(_numbers))) for _ in range(24)
        ]
        self.stack.wait_ended(ids)
        self.stack.redis.start()
        resources = self.assert_each_ended_once(ids, listener)
        self.assertEqual({each["attempts"] for each in resources.values()}, {1})
