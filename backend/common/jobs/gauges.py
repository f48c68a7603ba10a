"""What Redis knows of the moment: queues, workers, listeners. A source of metrics."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import redis
from rq.exceptions import NoSuchJobError
from rq.job import Job
from rq.serializers import JSONSerializer

from backend.common import health, redis_clients
from backend.common.jobs import queues
from backend.common.metrics import registry
from backend.common.metrics.registry import Sample
from wire import metrics as wire

REDIS_UP = registry.gauge("faces_redis_up", "1 while Redis answers, else 0.")
JOBS_WAITING = registry.gauge(
    "faces_redis_jobs_waiting", "Jobs that wait in Redis. The rows are the truth.", "queue"
)
OLDEST_JOB = registry.gauge(
    "faces_redis_oldest_job_seconds", "How long the first job in Redis has waited.", "queue"
)
WORKERS = registry.gauge("faces_workers", "Workers that live.")
SERVERS = registry.gauge("faces_websocket_servers", "Websocket servers that live.")
LISTENERS = registry.gauge("faces_ws_connections", "Clients connected to the websocket servers.")


def collect() -> Iterator[Sample]:
    """The numbers, as far as Redis answers."""
    try:
        redis_clients.short().ping()
    except redis.RedisError:
        yield Sample(REDIS_UP, 0, {})
        return
    yield Sample(REDIS_UP, 1, {})
    for queue in queues.IN_ORDER:
        yield Sample(JOBS_WAITING, queues.length(queue), {"queue": queue})
        yield Sample(OLDEST_JOB, _oldest_s(queue), {"queue": queue})
    yield Sample(WORKERS, health.living_workers(), {})
    listeners = _listeners()
    yield Sample(SERVERS, len(listeners), {})
    yield Sample(LISTENERS, sum(listeners), {})


def _oldest_s(name: str) -> float:
    first = queues.queue(name).get_job_ids(0, 1)
    if not first:
        return 0.0
    connection = queues.queue(name).connection
    try:
        job = Job.fetch(first[0], connection=connection, serializer=JSONSerializer)
    except NoSuchJobError:  # taken by a worker meanwhile
        return 0.0
    since = job.enqueued_at
    if since is None:
        return 0.0
    return max(0.0, (datetime.now(UTC) - health.aware(since)).total_seconds())


def _listeners() -> list[int]:
    """How many listen, at each server that lives."""
    client = redis_clients.short()
    names: Any = client.smembers(wire.SERVERS)
    numbers: Any = client.mget([wire.SERVER.format(instance=name) for name in names] or [""])
    return [int(number) for number in numbers if number is not None]
