"""The workers and their running jobs: heartbeats in Redis joined with the claims of rows."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final, TypedDict

import redis
from django.conf import settings

from backend.common.jobs import process_identity
from backend.common.jobs import workers as registered
from backend.common.jobs.models import Job, Status, kinds
from backend.common.jobs.workers import LivingWorker

_SHOWN: Final = 200


class WorkerShape(TypedDict):
    """One worker; `job` and `since` are None while it waits for work."""

    host: str
    pid: int
    state: str
    job: str | None
    since: str | None
    started: str


def workers() -> list[WorkerShape]:
    """Those that gave a sign of life lately; none while Redis is away."""
    try:
        living = registered.living()
        claims = _claims() if living else {}
        shapes = [_shape(worker, claims) for worker in living[:_SHOWN]]
    except redis.RedisError:
        return []
    return sorted(shapes, key=lambda each: (each["host"], each["pid"]))


def _shape(
    worker: LivingWorker, claims: dict[tuple[str, int], tuple[str, datetime]]
) -> WorkerShape:
    job, since = claims.get((worker.host, worker.pid), (None, None))
    return {
        "host": worker.host,
        "pid": worker.pid,
        "state": worker.state,
        "job": job,
        "since": since.isoformat() if since else None,
        "started": worker.started.isoformat() if worker.started else "",
    }


def _claims() -> dict[tuple[str, int], tuple[str, datetime]]:
    """The claimed job of each process and its start, by host and pid."""
    lease = timedelta(seconds=settings.FACES_JOB_TIMEOUT_S)
    return {
        process_identity.host_and_pid(row.claimed_by): (row.job_id, row.claimed_until - lease)
        for model in kinds()
        for row in held(model)
    }


def held(model: type[Job]) -> Any:
    """The claimed rows, by the index of those."""
    rows = model._default_manager.filter(status=Status.PROCESSING, claimed_until__isnull=False)
    return rows.order_by("claimed_until").only("pk", "claimed_by", "claimed_until")[:_SHOWN]
