"""Redis is input: write access to it must not mean code in a process of the service."""

import json
import os
import pickle
import subprocess
import sys
import unittest
import zlib
from collections.abc import Iterator
from multiprocessing import Value
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import redis
from django.contrib.auth.models import User
from django.core import management, signing
from django.core.cache import cache
from django.core.files.base import ContentFile
from django.test import TransactionTestCase, override_settings
from rq.job import Job as QueueEntry

from backend.clients.models import ANONYMOUS_ID
from backend.common import event_stream, redis_clients
from backend.common.jobs import gauges, queues, runner, wakeups, workers
from backend.common.jobs.registration import Registration
from backend.common.jobs.worker import Worker
from backend.common.metrics import exposition, registry
from backend.site.dashboard import snapshot
from backend.submissions import services
from backend.submissions.models import Submission
from tests.support import image_factories
from wire import environment, events, metrics


class _Payload:
    """A pickle that makes the folder `path` where it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.path,)


class HostileRedisCase(TransactionTestCase):
    def setUp(self) -> None:
        redis_clients.default().flushdb()
        cache.clear()
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.trace = Path(folder.name, "it-ran")
        self.pickled = pickle.dumps(_Payload(self.trace))

    def assert_nothing_ran(self) -> None:
        self.assertFalse(self.trace.exists())


class EntryTests(HostileRedisCase):
    """Entries that a worker takes from the queue."""

    def entries(self) -> Iterator[tuple[str, dict[str, Any]]]:
        path, task = str(self.trace), "backend.submissions.tasks.process"
        calls: dict[str, Any] = {
            "a function of Python": ["os.mkdir", None, [path], {}],
            "one with two arguments": ["os.mkdir", None, [path, 511], {}],
            "a function of ours that is no task": ["pathlib.Path.mkdir", None, [path], {}],
            "a method of an instance": ["mkdir", path, [path], {}],
            "a task with no argument": [task, None, [], {}],
            "a task with another argument": [task, None, [[path]], {}],
            "a task with too many": [task, None, ["1", "2"], {}],
            "a name that is no text": [["os.mkdir"], None, [path], {}],
            "an id that is none": [task, None, ["../../etc"], {}],
            "an id with a NUL": [task, None, ["1\0"], {}],
            "an id that no database holds": ["backend.photos.tasks.unpack", None, ["9" * 30], {}],
            "no call": {"os.mkdir": path},
        }
        for name, call in calls.items():
            yield name, {"data": zlib.compress(json.dumps(call).encode())}
        yield "a pickle", {"data": zlib.compress(self.pickled)}
        yield "no compression", {"data": self.pickled}
        yield "no JSON in meta", {"data": zlib.compress(b"[]"), "meta": self.pickled}
        yield "no date", {"data": zlib.compress(b"[]"), "created_at": "yesterday"}

    def test_only_tasks_of_models_run_and_the_next_entry_is_taken(self) -> None:
        client: Any = redis_clients.for_rq()
        worker = Worker("test", Value("d", 0.0, lock=False))
        for number, (name, fields) in enumerate(self.entries()):
            with self.subTest(name), self.assertLogs("backend.common.jobs.worker", "ERROR"):
                id = f"hostile-{number}"
                client.hset(QueueEntry.key_for(id), mapping=fields)
                client.rpush(queues.queue(queues.UPLOADS).key, id)
                worker.run_next()
                self.assert_nothing_ran()
                self.assertFalse(client.exists(QueueEntry.key_for(id)))
        picture = ContentFile(image_factories.encoded(image_factories.faceless()), name="a.jpg")
        made = services.accept(picture, owner_id=ANONYMOUS_ID)
        with mock.patch("backend.submissions.tasks.process") as process:
            worker.run_next()
        process.assert_called_once_with(str(made.pk))

    def test_a_name_that_is_no_text_in_the_queue_is_dropped(self) -> None:
        client = redis_clients.for_rq()
        client.rpush(queues.queue(queues.UPLOADS).key, b"\xff\xfe")
        Worker("test", Value("d", 0.0, lock=False)).run_next()
        self.assertEqual(queues.length(queues.UPLOADS), 0)


class CommandTests(unittest.TestCase):
    def test_no_command_of_rq_is_left_and_rqworker_names_ours(self) -> None:
        self.assertNotIn("django_rq", management.get_commands().values())
        for arguments in ((), ("uploads", "--burst", "--with-scheduler")):
            run = subprocess.run(
                [sys.executable, "manage.py", "rqworker", *arguments],
                cwd=environment.ROOT,
                capture_output=True,
                text=True,
            )
            self.assertEqual((run.returncode, run.stdout), (1, ""))
            self.assertRegex(run.stderr, r"^CommandError: .*`manage\.py work`\.\n$")


class CacheTests(HostileRedisCase):
    def overwrite(self, value: bytes) -> None:
        client = cache._cache.get_client()  # type: ignore[attr-defined]
        for key in client.keys("*"):
            client.set(key, value)

    @override_settings(FACES_REQUEST_RATE=(5, 3600), FACES_UPLOAD_RATE=(5, 3600))
    def test_a_rate_counter_is_a_number_or_nothing(self) -> None:
        for value in (self.pickled, b"\xff", b"", b"1e3", b"nan"):
            with self.subTest(value[:20]):
                cache.clear()
                self.client.get("/client/")
                self.overwrite(value)
                preflight = {
                    "x-original-uri": "/image/",
                    "x-original-method": "POST",
                    "x-original-length": "100000",
                }
                self.assertEqual(self.client.get("/client/").status_code, 200)
                checked = self.client.get("/_upload_preflight", headers=preflight)
                self.assertEqual(checked.status_code, 204)
                self.assert_nothing_ran()

    def test_the_cache_loads_no_pickle(self) -> None:
        cache.set("a", 1)
        self.overwrite(self.pickled)
        with self.assertRaises(redis.RedisError):
            cache.get("a")
        self.assert_nothing_ran()

    def test_it_stores_nothing_but_whole_numbers(self) -> None:
        for value in (True, "1", 1.0, None, [1]):
            with self.subTest(value), self.assertRaises(TypeError):
                cache.set("a", value)


GARBAGE: tuple[bytes, ...] = (
    b"",
    b"abc",
    b"-1",
    b"1.5",
    b"nan",
    b"inf",
    b"1e400",
    b"\xff\xfe",
    b"\xd9\xa1",  # an Arabic digit
    b"9" * 30,
    b"9" * 5000,
    b"[" * 5000,
    b"null",
    b"1|2=3",
    b"99999-12-31",
    b"0001-01-01T00:00:00+14:00",
)
"""Values that are no number, no date, no id, no JSON and no text."""


class ReadTests(HostileRedisCase):
    """Every value that a process reads from Redis is what it should be, or is left out."""

    def setUp(self) -> None:
        super().setUp()
        self.redis: Any = redis_clients.for_rq()
        self.enterContext(mock.patch.object(registry._Away, "until", 0.0))

    def assert_pages_answer(self) -> None:
        for path in ("/metrics", "/readiness"):
            self.assertIn(self.client.get(path).status_code, (200, 503))
        snapshot.clear_cache()
        snapshot.numbers()

    def test_metrics_leave_out_what_is_no_number(self) -> None:
        uploads = "faces_uploads_total"
        for value in GARBAGE:
            with self.subTest(value[:20]):
                self.redis.hset(metrics.HASH, mapping={uploads: value, value: value})
                self.redis.hset(metrics.HASH, mapping={b"faces_jobs_total|" + value: 1})
                self.assertEqual(exposition.counted().get(uploads), None)
                self.assert_pages_answer()

    def test_a_counter_that_is_no_number_begins_anew(self) -> None:
        uploads = "faces_uploads_total"
        for value in (b"abc", b"\xff", b"9223372036854775807"):
            with self.subTest(value[:20]):
                self.redis.hset(metrics.HASH, uploads, value)
                with self.assertLogs("backend.common.metrics.registry", "WARNING"):
                    registry.count(uploads)
                registry.count(uploads)
                self.assertEqual(exposition.counted()[uploads], {(): 1.0})

    def test_gauges_leave_out_what_is_no_number(self) -> None:
        self.redis.sadd(metrics.SERVERS, "a", b"\xff", "{0}", "other", *GARBAGE)
        self.redis.rpush(metrics.SERVER.format(instance="other"), "a")
        for value in GARBAGE:
            with self.subTest(value[:20]):
                self.redis.set(metrics.SERVER.format(instance="a"), value)
                found = {each.name: each.value for each in gauges.of_redis()}
                self.assertEqual(found["faces_ws_connections"], 0)
                self.assert_pages_answer()

    def test_the_age_of_an_entry_is_that_of_a_date(self) -> None:
        queue = queues.queue(queues.UPLOADS)
        for value in GARBAGE:
            with self.subTest(value[:20]):
                self.redis.delete(queue.key)
                self.redis.rpush(queue.key, "a", value)
                self.redis.hset("rq:job:a", mapping={"enqueued_at": value, "data": value})
                self.assertEqual(gauges._oldest_s(queues.UPLOADS), 0)
                self.redis.lset(queue.key, 0, value)
                self.assert_pages_answer()
                self.assertTrue(queues.waiting(queues.UPLOADS))

    def test_a_worker_that_cannot_be_read_does_not_hide_the_others(self) -> None:
        listed = f"rq:workers:{queues.UPLOADS}"
        good = Registration("good")
        good._announce()
        for number, value in enumerate(GARBAGE):
            bad = f"rq:worker:{number}"
            fields = ("hostname", "pid", "state", "birth", "last_heartbeat", "queues")
            self.redis.hset(bad, mapping=dict.fromkeys(fields, value))
            self.redis.sadd(listed, bad, value)
        self.redis.rpush("rq:worker:other", "a")
        self.redis.sadd(listed, "rq:worker:other")
        self.assertEqual([each.pid for each in workers.living()], [os.getpid()])
        self.assert_pages_answer()
        # What names no worker is taken out of the list by each worker.
        good._announce()
        self.assertNotIn(b"\xff\xfe", self.redis.smembers(listed))

    def test_the_id_of_an_event_is_one(self) -> None:
        for value in GARBAGE:
            with self.subTest(value[:20]):
                key = events.EVENT_OF_SUBMISSION.format(owner=1, submission_id="a")
                self.redis.set(key, value)
                event_stream.erase("", owner=1, subject="a")
                self.redis.set(key, value)
                id = event_stream.append({"a": "b"}, owner=1, subject="a")
                self.assertEqual(events.format_event_id(events.parse_event_id(id)), id)
                self.assertEqual(event_stream.append({"a": "b"}, owner=1, subject="a"), id)

    def test_the_id_of_an_event_may_have_another_type(self) -> None:
        key = events.EVENT_OF_SUBMISSION.format(owner=1, submission_id="a")
        self.redis.rpush(key, "a")
        event_stream.erase("", owner=1, subject="a")
        self.redis.rpush(key, "a")
        event_stream.append({"a": "b"}, owner=1, subject="a")

    def test_a_wake_up_may_say_anything(self) -> None:
        key = wakeups._KEY.format(kind="a", id=1)
        self.redis.xadd(key, {b"\xff": b"\xff"}, id="5-1")
        self.assertEqual(wakeups.wait("a", 1, seen="0-0", timeout_s=1), "5-1")
        self.redis.set(wakeups._KEY.format(kind="a", id=2), "1")
        self.assertEqual(wakeups.wait("a", 2, seen="0-0", timeout_s=0.01), "0-0")

    def test_the_dashboard_shows_what_this_service_wrote_alone(self) -> None:
        fake = json.dumps({"at": "<script>"})
        for value in (*GARBAGE, fake.encode(), signing.dumps({"at": "x"}, salt="other").encode()):
            with self.subTest(value[:20]):
                self.redis.set(snapshot._KEY, value)
                self.assertIn("queues", snapshot.numbers())
        known = snapshot.numbers()
        self.assertEqual(snapshot.numbers(), known)

    def test_keys_of_another_type_are_a_redis_that_is_away(self) -> None:
        for key in (metrics.HASH, metrics.SERVERS, f"rq:workers:{queues.UPLOADS}", snapshot._KEY):
            with self.subTest(key):
                self.redis.delete(key)
                self.redis.zadd(key, {"a": 1})
                self.assert_pages_answer()

    def test_the_sweep_enqueues_beside_entries_that_are_no_text(self) -> None:
        self.redis.rpush(queues.queue(queues.UPLOADS).key, *GARBAGE)
        picture = ContentFile(image_factories.encoded(image_factories.faceless()), name="a.jpg")
        with mock.patch.object(Submission, "enqueue", return_value=True) as enqueue:
            made = services.accept(picture, owner_id=ANONYMOUS_ID)
            Submission.objects.filter(pk=made.pk).update(attempts=1)
            enqueue.reset_mock()
            runner.enqueue_lost(Submission)
        enqueue.assert_called_once()


class QueuePagesTests(HostileRedisCase):
    """django-rq's pages in the web process."""

    def test_no_page_loads_a_pickle(self) -> None:
        self.client.force_login(User.objects.create_superuser("olga"))
        client: Any = redis_clients.for_rq()
        queue = queues.queue(queues.UPLOADS)
        fields = {"data": zlib.compress(self.pickled), "meta": self.pickled, "origin": queue.name}
        client.hset(QueueEntry.key_for("hostile"), mapping=fields)
        client.zadd(queue.failed_job_registry.key, {"hostile": 1 << 40})
        client.rpush(queue.key, "hostile")
        base = "/admin/django_rq/dashboard/queues/1/"
        for path in ("", "failed/", "hostile/", "details/"):
            self.assertIn(self.client.get(base + path).status_code, (200, 404, 503), path)
        self.client.post(base + "failed/clear/", {"post": "yes"})
        self.assert_nothing_ran()
