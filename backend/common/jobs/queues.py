"""The queues in Redis. An entry is a hint that names a row; a lost one costs time, nothing else."""

import logging
from functools import cache
from typing import Any, Final

import redis
from django.conf import settings
from rq import Queue
from rq.job import Job
from rq.results import Result
from rq.serializers import DefaultSerializer, JSONSerializer

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
        # Left to itself, rq makes two round trips of it.
        with queue(name).connection.pipeline() as pipeline:
            queue(name).enqueue_call(
                task,
                args=(argument,),
                job_id=job_id,
                timeout=settings.FACES_JOB_TIMEOUT_S,
                # The outcome is in the row.
                result_ttl=0,
                failure_ttl=FAILURE_TTL_S,
                pipeline=pipeline,
            )
            pipeline.execute()
    except redis.RedisError as error:
        logger.warning("the queue %s is out of reach, the sweep will see to it: %s", name, error)
        return False
    return True


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
