"""Redis is input: write access to it must not mean code in a process of the service."""

import json
import os
import pickle
import zlib
from collections.abc import Iterator
from multiprocessing import Value
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import redis
from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.files.base import ContentFile
from django.test import TransactionTestCase, override_settings
from rq.job import Job as QueueEntry

from backend.clients.models import ANONYMOUS_ID
from backend.common import redis_clients
from backend.common.jobs import queues
from backend.common.jobs.worker import Worker
from backend.submissions import services
from tests.support import image_factories


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
            "a task with another argument": [task, None, [[path]], {}],
            "a task with too many": [task, None, ["1", "2"], {}],
            "a name that is no text": [["os.mkdir"], None, [path], {}],
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


class CacheTests(HostileRedisCase):
    def overwrite(self, value: bytes) -> None:
        client = cache._cache.get_client()  # type: ignore[attr-defined]
        for key in client.keys("*"):
            client.set(key, value)

    @override_settings(FACES_REQUEST_RATE=(5, 3600), FACES_UPLOAD_RATE=(5, 3600))
    def test_a_rate_counter_is_a_number_or_nothing(self) -> None:
        for value in (self.pickled, b"\xff", b"", b"1e3", b"nan"):
            with self.subTest(value):
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
        self.client.raise_request_exception = False
        for path in ("", "failed/", "hostile/", "details/"):
            self.client.get(base + path)
        self.client.post(base + "failed/clear/", {"post": "yes"})
        self.assert_nothing_ran()
