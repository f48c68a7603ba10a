"""The workers, and what each does now: what they say in Redis, and what the rows say."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final, TypedDict

import redis
from django.conf import settings
from rq.worker import BaseWorker

from backend.common.jobs import workers as registered
from backend.common.jobs.models import Job, Status, kinds

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
        since = _in_work() if living else {}
        shapes = [_shape(worker, since) for worker in living[:_SHOWN]]
    except redis.RedisError:
        return []
    return sorted(shapes, key=lambda each: (each["host"], each["pid"]))


def _shape(worker: BaseWorker, since: dict[str, datetime]) -> WorkerShape:
    job = worker.get_current_job_id()
    began = since.get(job or "")
    return {
        "host": worker.hostname or "",
        "pid": worker.pid or 0,
        "state": str(getattr(worker.get_state(), "value", worker.get_state())),
        "job": job,
        "since": began.isoformat() if began else None,
        "started": registered.aware(worker.birth_date).isoformat() if worker.birth_date else "",
    }


def _in_work() -> dict[str, datetime]:
    """Since when each row that is in hand is, by the id of its job."""
    lease = timedelta(seconds=settings.FACES_JOB_TIMEOUT_S)
    found: dict[str, datetime] = {}
    for model in kinds():
        for row in held(model):
            found[row.job_id] = row.claimed_until - lease
    return found


def held(model: type[Job]) -> Any:
    """The rows in hand, by the index of those."""
    rows = model._default_manager.filter(status=Status.PROCESSING, claimed_until__isnull=False)
    return rows.order_by("claimed_until").only("pk", "claimed_until")[:_SHOWN]
