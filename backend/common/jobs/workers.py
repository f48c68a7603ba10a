"""The workers that are alive, by what they announced in Redis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from rq.worker_registration import WORKERS_BY_QUEUE_KEY

from backend.common import redis_clients
from backend.common.jobs import queues, registration
from backend.common.redis_values import moment, whole_number

_FIELDS: Final = ("hostname", "pid", "state", "birth", "last_heartbeat")
_MOST: Final = 10_000
"""Workers that are looked at; a set in Redis may hold anything."""


@dataclass(frozen=True)
class LivingWorker:
    """What a worker announced of itself; "" and 0 for what cannot be read."""

    host: str
    pid: int
    state: str
    started: datetime | None
    last_heartbeat: datetime


def living() -> list[LivingWorker]:
    """Those with a recent heartbeat. Raises `redis.RedisError`."""
    oldest = datetime.now(UTC) - timedelta(seconds=registration.SILENT_S)
    return [each for each in _announced() if each.last_heartbeat > oldest]


def _announced() -> Iterator[LivingWorker]:
    client = redis_clients.default()
    keys: Any = client.smembers(WORKERS_BY_QUEUE_KEY % queues.UPLOADS)
    pipeline = client.pipeline(transaction=False)
    for key in sorted(keys)[:_MOST]:
        pipeline.hmget(key, _FIELDS)
    for fields in pipeline.execute(raise_on_error=False):
        # The key of another type is answered with an error.
        if not isinstance(fields, Exception) and (worker := _worker(fields)) is not None:
            yield worker


def _worker(fields: Sequence[str | None]) -> LivingWorker | None:
    host, pid, state, birth, heartbeat = fields
    if (last := moment(heartbeat)) is None:
        return None
    return LivingWorker(host or "", whole_number(pid) or 0, state or "?", moment(birth), last)
