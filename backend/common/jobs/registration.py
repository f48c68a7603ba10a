"""What Redis knows of a worker: for readiness, the dashboard and the pages of django-rq."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

import redis
from redis.client import Pipeline
from rq import SimpleWorker, worker_registration
from rq.serializers import JSONSerializer

from backend.common import redis_clients
from backend.common.jobs import queues

HEARTBEAT_S: Final = 15
SILENT_S: Final = 3 * HEARTBEAT_S
"""A worker that missed three heartbeats is dead."""

_TTL_S: Final = 90
_RETRY_S: Final = 1.0


class Registration:
    """Announces one worker under `name`; a thread repeats it and takes the command to stop a job.

    A worker that hangs while it holds the interpreter's lock falls silent with its thread, and
    counts as dead.
    """

    def __init__(self, name: str) -> None:
        self._redis = redis_clients.for_rq()
        self.job_id = ""
        """The entry in hand, which may be stopped."""
        # rq's own class, so that its pages read what they expect; it never works. It changes the
        # timeouts of the connection that it is given.
        self._rq = SimpleWorker(
            list(queues.IN_ORDER),
            name=name,
            connection=redis_clients.for_rq(),
            serializer=JSONSerializer,
            prepare_for_work=False,
        )
        self._rq.hostname = socket.gethostname()
        self._rq.pid = os.getpid()
        self._rq.birth_date = datetime.now(UTC)

    @property
    def key(self) -> str:
        return str(self._rq.key)

    @property
    def name(self) -> str:
        return str(self._rq.name)

    def start(self) -> None:
        """Announce the worker from now on."""
        threading.Thread(target=self._keep, name="registration", daemon=True).start()

    def end(self) -> None:
        """Take the worker back; one that is killed is forgotten after `SILENT_S`."""
        with suppress(redis.RedisError), self._redis.pipeline() as pipeline:
            worker_registration.unregister(self._rq, pipeline)
            pipeline.delete(self._rq.key)
            pipeline.execute()

    def end_job(self, pipeline: Pipeline) -> None:
        """Add to `pipeline`: the worker is idle."""
        self.job_id = ""
        pipeline.hset(self._rq.key, "state", "idle")
        pipeline.hdel(self._rq.key, "current_job")

    def _keep(self) -> None:
        while True:
            try:
                self._announce()
                self._take_commands()
            except redis.RedisError:
                time.sleep(_RETRY_S)

    def _announce(self) -> None:
        """Everything, each time: Redis may have been emptied."""
        self._rq.last_heartbeat = datetime.now(UTC)
        with self._redis.pipeline() as pipeline:
            pipeline.hset(self._rq.key, mapping=self._rq.serialize())
            pipeline.hsetnx(self._rq.key, "state", "idle")
            worker_registration.register(self._rq, pipeline)
            pipeline.expire(self._rq.key, _TTL_S)
            pipeline.execute()
        self._remove_dead()

    def _remove_dead(self) -> None:
        """Take workers that were killed out of the lists; rq's own way fails at what is no text."""
        for name in queues.IN_ORDER:
            listed = worker_registration.WORKERS_BY_QUEUE_KEY % name
            keys: Any = sorted(self._redis.smembers(listed))
            with self._redis.pipeline(transaction=False) as pipeline:
                for key in keys:
                    pipeline.exists(key)
                replies = pipeline.execute()
                dead = [key for key, exists in zip(keys, replies, strict=True) if not exists]
                if dead:
                    pipeline.srem(listed, *dead)
                    pipeline.srem(worker_registration.REDIS_WORKER_KEYS, *dead)
                    pipeline.execute()

    def _take_commands(self) -> None:
        """Until the next heartbeat is due."""
        until = time.monotonic() + HEARTBEAT_S
        pubsub: Any = self._redis.pubsub  # it has no types
        with pubsub(ignore_subscribe_messages=True) as channel:
            channel.subscribe(self._rq.pubsub_channel_name)
            while (left_s := until - time.monotonic()) > 0:
                message = channel.get_message(timeout=left_s)
                if message is not None:
                    self._obey(message["data"])

    def _obey(self, message: bytes) -> None:
        try:
            command = json.loads(message)
            is_stop = command["command"] == "stop-job" and command["job_id"] == self.job_id != ""
        except (ValueError, LookupError, TypeError, RecursionError):  # anything may be published
            return
        if is_stop:
            # Only the end of the process stops a job in the middle of C code; its row is lost like
            # that of a worker that crashed, and tried again.
            os.kill(os.getpid(), signal.SIGKILL)
