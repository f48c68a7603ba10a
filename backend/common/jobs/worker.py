"""A worker: one process that runs many jobs, one after the other.

Its next job comes from the queue; while Redis is away, from the rows that are due.

What one job leaves behind in the process must not reach the next: each runs in an empty context
(of logs, metrics and Sentry) and finds database connections that were checked. A job that raises,
or whose time runs out in the middle of anything, is the last one of its process.
"""

from __future__ import annotations

import contextvars
import json
import logging
import mmap
import signal
import time
import traceback
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Protocol

import redis
from django.conf import settings
from django.db import close_old_connections, reset_queries
from django.utils.module_loading import import_string
from rq.job import Job
from rq.serializers import JSONSerializer

from backend.common import redis_clients
from backend.common.jobs import fair_shares, queues, runner
from backend.common.jobs.models import JobTimeout, kinds
from backend.common.jobs.registration import Registration

logger = logging.getLogger(__name__)

GRACE_S: Final = 5
"""Seconds that a job has to end by itself when its time is over; then its process is killed."""

_BLOCK_S: Final = 1
"""Seconds of one blocking read of the queue: an idle worker notices so late that it is to stop."""

_REDIS_RETRY_S: Final = 1.0
"""Seconds between two attempts to reach a Redis that is away: each may cost a timeout."""

_POLL_S: Final = 0.2
"""Seconds between two looks at the rows while Redis is away and nothing is due."""

_MAX_JOBS: Final = 2000
"""Jobs of one process: a slow leak ends with it. To start another takes 20 ms."""

_MAX_GROWTH_BYTES: Final = 256 << 20
"""What a process may keep above the memory it began with and the gallery cache."""

# Ends an entry and takes the next in one step: each step is a round trip, and wakes Redis.
# Keys: the worker's, the ended entry's or "", the queues in order. Arguments: the beginning of an
# entry's key, the worker's name, an entry that was taken already or "". Returns its id and fields.
# An ended one is deleted, unless its row was enqueued anew, under the same id, while it ran. rq
# refuses an id of other characters.
_NEXT: Final = """
if KEYS[2] ~= '' and redis.call('HGET', KEYS[2], 'status') == 'started' then
  redis.call('DEL', KEYS[2])
end
local entry = ARGV[3] ~= '' and ARGV[3]
for i = 3, #KEYS do entry = entry or redis.call('LPOP', KEYS[i]) end
if not entry then
  redis.call('HSET', KEYS[1], 'state', 'idle')
  redis.call('HDEL', KEYS[1], 'current_job')
  return false
end
local id = string.gsub(entry, '[^%w_-]', '_')
if id == '' then id = '_' end
local key = ARGV[1] .. id
local fields = redis.call('HGETALL', key)
redis.call('HSET', KEYS[1], 'state', 'busy', 'current_job', id)
redis.call('HSET', key, 'status', 'started', 'worker_name', ARGV[2])
return {id, fields}
"""


class Deadline(Protocol):
    """A number that the pool reads: until when (`time.monotonic`) this process may live, or 0."""

    value: float


@dataclass(frozen=True)
class _Entry:
    """One of the queue: its id and the fields of it that rq knows, none if it was deleted."""

    id: str
    fields: dict[bytes, bytes]

    @property
    def key(self) -> str:
        return Job.redis_job_namespace_prefix + self.id

    def named(self) -> tuple[str, str] | None:
        """The task and the row's id that it names; None unless the task is one of a model.

        Redis is input: a name that were imported as it is, `os.system` say, would run there.
        """
        try:
            call = json.loads(zlib.decompress(self.fields[b"data"]))
            task, instance, (id,), named = call
            is_ours = instance is None and not named and isinstance(id, str) and _is_id(task, id)
        except Exception:  # those of zlib, JSON, Django and Python
            return None
        return (task, id) if is_ours else None


class Worker:
    """Runs jobs until it is asked to stop or worn out."""

    def __init__(self, name: str, deadline: Deadline) -> None:
        self._registration = Registration(name)
        self._deadline = deadline
        self._redis = redis_clients.for_rq(timeout_s=_BLOCK_S + redis_clients.REDIS_TIMEOUT_S)
        self._queue_keys = [queues.queue(name).key for name in queues.IN_ORDER]
        self._redis_away_until = 0.0
        self._memory_limit = _resident_bytes() + _max_growth()
        self._jobs_left = _MAX_JOBS
        self._ended_key = ""
        self._has_worked = False
        self._is_stopping = False

    def run(self) -> None:
        """Work until SIGTERM or SIGINT, and then end after the running job; or until worn out."""
        self._registration.start()
        try:
            while not self._is_stopping and not self._is_worn_out():
                self.run_next()
            if not self._is_stopping:
                logger.info("worn out, another process takes over")
        finally:
            self._forget_ended()
            self._registration.end()
            if settings.FACES_SENTRY_DSN:
                # Its thread sends errors, and a child of the pool ends without waiting for threads.
                import sentry_sdk

                sentry_sdk.flush(timeout=2)

    def stop(self, *_: object) -> None:
        """A handler of signals: end after the running job."""
        self._is_stopping = True

    def run_next(self) -> None:
        """Wait a moment for a job, and run it."""
        if time.monotonic() >= self._redis_away_until:
            try:
                self._run_from_queue()
                return
            except redis.RedisError as error:
                logger.warning("the queue is out of reach, rows are looked for: %s", error)
                self._redis_away_until = time.monotonic() + _REDIS_RETRY_S
        self._run_from_rows()

    def _is_worn_out(self) -> bool:
        return self._jobs_left <= 0 or _resident_bytes() > self._memory_limit

    def _run_from_queue(self) -> None:
        if (entry := self._next_entry()) is None:
            return
        if (named := entry.named()) is None:
            if entry.fields:  # else it was deleted while it waited
                logger.error("an entry of the queue names no task of this service, it is dropped")
            self._end(entry)
            self._forget_ended()
            return
        try:
            self._run_turn(*named)
        except Exception:  # the edge of the process; a row in its hands is lost and tried again
            logger.exception("a job failed job=%s", entry.id)
            self._jobs_left = 0
            self._end_failed(entry, traceback.format_exc())
        else:
            self._end(entry)

    def _next_entry(self) -> _Entry | None:
        """The next one, waited for a moment; None if there is none."""
        # The script first: most often there is one, and it ends the last one.
        taken = self._take(self._queue_keys, "")
        if taken is None:
            popped: Any = self._redis.blpop(self._queue_keys, timeout=_BLOCK_S)
            if popped is None:
                self._rest()
            taken = self._take([], popped[1]) if popped else None
        return taken

    def _take(self, queue_keys: list[str], entry: bytes | str) -> _Entry | None:
        ended, self._ended_key = self._ended_key, ""
        keys = [self._registration.key, ended, *queue_keys]
        about: list[Any] = [Job.redis_job_namespace_prefix, self._registration.name, entry]
        found: Any = self._redis.eval(_NEXT, len(keys), *keys, *about)
        if found is None:
            return None
        id, fields = found
        self._registration.job_id = id.decode()
        return _Entry(id.decode(), dict(zip(fields[::2], fields[1::2], strict=True)))

    def _end(self, entry: _Entry) -> None:
        """Have the entry deleted when the next one is taken. The row says how the job went."""
        self._registration.job_id = ""
        self._ended_key = entry.key

    def _forget_ended(self) -> None:
        """As no other entry is taken. Redis may have gone meanwhile."""
        if self._ended_key:
            with suppress(redis.RedisError):
                self._take([], "")

    def _end_failed(self, entry: _Entry, trace: str) -> None:
        # The page of failed entries goes without one whose fields cannot be written back.
        with suppress(Exception), self._redis.pipeline() as pipeline:
            job = Job(entry.id, connection=self._redis, serializer=JSONSerializer)
            job.restore(entry.fields)
            self._registration.end_job(pipeline)
            # An entry may name any queue and any lifetime.
            name = job.origin if job.origin in queues.IN_ORDER else queues.UPLOADS
            registry = queues.queue(name).failed_job_registry
            registry.add(job, ttl=queues.FAILURE_TTL_S, exc_string=trace, pipeline=pipeline)
            pipeline.execute()

    def _run_from_rows(self) -> None:
        close_old_connections()
        try:
            row = runner.next_due()
            if row is None:
                self._rest()
                time.sleep(_POLL_S)
            else:
                self._run_turn(row.task, str(row.pk))
        except Exception:  # as above
            logger.exception("no row could be run")
            self._jobs_left = 0

    def _rest(self) -> None:
        """Once when there is nothing to do any more."""
        if self._has_worked:
            self._has_worked = False
            import_string(settings.WORKER_REST)()

    def _run_turn(self, task: str, id: str) -> None:
        self._run(task, id)
        for other in fair_shares.others(task):
            if self._jobs_left <= 0 or self._is_stopping:
                return
            self._run(*other)

    def _run(self, task: str, id: str) -> None:
        self._jobs_left -= 1
        self._has_worked = True
        close_old_connections()
        reset_queries()
        with self._time_limit():
            contextvars.Context().run(import_string(task), id)

    @contextmanager
    def _time_limit(self) -> Iterator[None]:
        """Raises `JobTimeout` in the block when its time is over; the pool kills what goes on."""
        self._deadline.value = time.monotonic() + settings.FACES_JOB_TIMEOUT_S + GRACE_S
        signal.signal(signal.SIGALRM, self._time_is_over)
        signal.alarm(settings.FACES_JOB_TIMEOUT_S)
        try:
            yield
        finally:
            signal.alarm(0)
            self._deadline.value = 0.0

    def _time_is_over(self, *_: object) -> None:
        self._jobs_left = 0
        raise JobTimeout(f"took longer than {settings.FACES_JOB_TIMEOUT_S} s")


def known_tasks() -> frozenset[str]:
    """The dotted names that an entry of the queue may name: the tasks of the models."""
    return frozenset(task for model in kinds() for task in model.tasks())


def _is_id(task: str, text: str) -> bool:
    """Whether `text` may be the key of a row of the task; `ValidationError` for what is no key, and
    `LookupError` for what is no task."""
    keys = [key.to_python(text) for key in _keys()[task]]
    # Integers of the databases have 64 bits.
    return all(not isinstance(key, int) or 0 < key < 1 << 63 for key in keys)


@cache
def _keys() -> dict[str, list[Any]]:
    """By task the primary key that an entry names; none of a task that takes several ids."""
    return {
        task: [model._meta.pk for model in kinds() if model.task == task] for task in known_tasks()
    }


def _max_growth() -> int:
    return settings.FACES_GALLERY_CACHE_BYTES + _MAX_GROWTH_BYTES


def _resident_bytes() -> int:
    """The memory of this process, as proc(5) counts it in `statm`."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE
