"""The present state of jobs, workers and Redis. Two sources of metrics: the rows, and Redis."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import redis
from django.db.models import Count, Min
from django.utils import timezone
from rq.job import Job as QueueEntry

from backend.common import redis_clients
from backend.common.jobs import queues, workers
from backend.common.jobs.models import Job, Status, kinds
from backend.common.metrics import registry
from backend.common.metrics.registry import Sample
from backend.common.redis_values import moment, whole_number
from wire import metrics as wire

JOBS_WAITING = registry.gauge(
    "faces_queue_depth", "Rows that wait for a worker, from the database.", "kind", "queue"
)
OLDEST_JOB = registry.gauge(
    "faces_queue_oldest_age_seconds", "Age of the row that is due longest.", "kind", "queue"
)
JOBS_RUNNING = registry.gauge(
    "faces_jobs_running", "Rows that a worker has claimed.", "kind", "queue"
)
REDIS_UP = registry.gauge("faces_redis_up", "1 while Redis answers, else 0.")
ENTRIES_WAITING = registry.gauge(
    "faces_redis_jobs_waiting", "Jobs that wait in Redis. The rows are the truth.", "queue"
)
OLDEST_ENTRY = registry.gauge(
    "faces_redis_oldest_job_seconds", "How long the first job in Redis has waited.", "queue"
)
WORKERS = registry.gauge("faces_workers", "Workers that live.")
SERVERS = registry.gauge("faces_websocket_servers", "Websocket servers that live.")
CONNECTIONS = registry.gauge("faces_ws_connections", "Clients connected to the websocket servers.")


def of_rows() -> Iterator[Sample]:
    """The gauges of every kind of job, from the database."""
    for model in kinds():
        yield from _of_kind(model)


def of_redis() -> Iterator[Sample]:
    """The gauges of queues, workers and websocket servers, as far as Redis answers."""
    try:
        redis_clients.default().ping()
    except redis.RedisError:
        yield Sample(REDIS_UP, 0, {})
        return
    yield Sample(REDIS_UP, 1, {})
    for queue in queues.IN_ORDER:
        yield Sample(ENTRIES_WAITING, queues.length(queue), {"queue": queue})
        yield Sample(OLDEST_ENTRY, _oldest_s(queue), {"queue": queue})
    yield Sample(WORKERS, len(workers.living()), {})
    connections = _connections()
    yield Sample(SERVERS, len(connections), {})
    yield Sample(CONNECTIONS, sum(connections), {})


def _of_kind(model: type[Job]) -> Iterator[Sample]:
    labels = {"kind": str(model._meta.model_name), "queue": model.queue}
    rows = model._default_manager.order_by()
    waiting = rows.filter(status=Status.QUEUED).aggregate(depth=Count("pk"), oldest=Min("due_at"))
    # A retry that is not due yet waits for its time and not for a worker.
    age = timezone.now() - waiting["oldest"] if waiting["oldest"] else timedelta(0)
    yield Sample(JOBS_WAITING, waiting["depth"], labels)
    yield Sample(OLDEST_JOB, max(0.0, age.total_seconds()), labels)
    yield Sample(JOBS_RUNNING, rows.filter(status=Status.PROCESSING).count(), labels)


def _oldest_s(name: str) -> float:
    client: Any = redis_clients.default()
    first = client.lindex(queues.queue(name).key, 0)
    if first is None:
        return 0.0
    # No moment in an entry that a worker took meanwhile.
    since = moment(client.hget(QueueEntry.key_for(first), "enqueued_at"))
    return max(0.0, (datetime.now(UTC) - since).total_seconds()) if since else 0.0


def _connections() -> list[int]:
    """The number of clients of each websocket server that lives."""
    client = redis_clients.default()
    names: Any = client.smembers(wire.SERVERS)
    numbers: Any = client.mget([wire.SERVER.format(instance=name) for name in names] or [""])
    # Each of at most 2³¹: the sum of any number of any values must be a number of the page too.
    known = [found for number in numbers if (found := whole_number(number)) is not None]
    return [number for number in known if number < 1 << 31]
