"""The queues in Redis. An entry is a hint that names a row; a lost one costs time, nothing else."""

import json
import logging
import zlib
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final

import redis
from django.conf import settings
from rq import Queue
from rq.job import Job, JobStatus
from rq.results import Result
from rq.serializers import DefaultSerializer, JSONSerializer
from rq.utils import utcformat

from backend.common import redis_clients

logger = logging.getLogger(__name__)

# rq's default is pickle, and some pages of django-rq name no serializer: a value in
# Redis would be code in the web process.
for _name in ("dumps", "loads"):
    setattr(DefaultSerializer, _name, staticmethod(getattr(JSONSerializer, _name)))

INTERACTIVE: Final = "interactive"
"""A request waits for the result: taken before everything else."""

UPLOADS: Final = "uploads"

IN_ORDER: Final = (INTERACTIVE, UPLOADS)
"""The queues of a worker, the most urgent first."""


FAILURE_TTL_S: Final = 3600
"""How long the pages of the queues show an entry whose job failed."""


@cache
def queue(name: str) -> Queue:
    return Queue(name, connection=redis_clients.for_rq(), serializer=JSONSerializer)


def enqueue(name: str, task: str, argument: str, *, job_id: str) -> bool:
    """Add an entry for `task(argument)`, a dotted name and a row's id; False if Redis is away.

    Arguments travel as JSON, because with pickle write access to Redis would mean code in a worker.
    """
    try:
        waiting_in, key = queue(name), Job.key_for(job_id)
        with waiting_in.connection.pipeline(transaction=False) as pipeline:
            pipeline.sadd(waiting_in.redis_queues_keys, waiting_in.key)
            pipeline.hset(key, mapping=_fields(name, task, argument))
            # One of the same id that failed was to expire.
            pipeline.persist(key)
            pipeline.rpush(waiting_in.key, job_id)
            pipeline.execute()
    except redis.RedisError as error:
        logger.warning("the queue %s is out of reach, the sweep will see to it: %s", name, error)
        return False
    return True


def _fields(name: str, task: str, argument: str) -> dict[Any, Any]:
    """What rq's `enqueue_call` stores of an entry, at a sixth of its time."""
    now, call = utcformat(datetime.now(UTC)), json.dumps([task, None, [argument], {}])
    return {
        **_same_of_all(name, task),
        "timeout": settings.FACES_JOB_TIMEOUT_S,
        "created_at": now,
        "enqueued_at": now,
        "data": zlib.compress(call.encode()),
        "description": f"{task}({argument!r})",
    }


@cache
def _same_of_all(name: str, task: str) -> dict[str, Any]:
    job = queue(name).create_job(
        task,
        # The outcome is in the row.
        result_ttl=0,
        failure_ttl=FAILURE_TTL_S,
        status=JobStatus.QUEUED,
    )
    job.origin = name
    fields: dict[str, Any] = job.to_dict()
    return fields


def forget(name: str, job_id: str) -> None:
    """Delete an entry wherever rq keeps something of it. Raises `redis.RedisError`."""
    waiting_in = queue(name)
    waiting_in.remove(job_id)
    waiting_in.connection.zrem(waiting_in.failed_job_registry.key, job_id)
    result_key = Result.get_key(job_id)  # type: ignore[no-untyped-call]
    waiting_in.connection.delete(Job.key_for(job_id), result_key)


def waiting(name: str) -> set[str]:
    """The ids of the entries in the queue `name`. Raises `redis.RedisError`."""
    # rq's own reading fails at an entry that is not UTF-8.
    entries: Any = redis_clients.default().lrange(queue(name).key, 0, -1)
    return set(entries)


def length(name: str) -> int:
    """The length of the queue `name`. Raises `redis.RedisError`."""
    return int(queue(name).count)
