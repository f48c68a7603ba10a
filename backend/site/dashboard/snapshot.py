"""The dashboard's numbers of the moment, each from a bounded, indexed query."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final, TypedDict, cast

import redis
from django.apps import apps
from django.conf import settings
from django.core import signing
from django.db import connection
from django.db.models import CharField, Count, F, Func
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from backend.analysis import services as analysis
from backend.common import redis_clients
from backend.common.jobs.models import Job, Status
from backend.common.metrics import exposition
from backend.site.dashboard import workers as dashboard_workers
from backend.site.dashboard.latency import Stage, stages
from backend.site.dashboard.workers import WorkerShape

SHOWN_FAILURES: Final = 20

_MINUTES: Final = 60

_KEY: Final = "faces:dashboard"
_KEPT_S: Final = 2
"""Seconds that an answer is shared: any number of viewers costs one set of queries in it."""


class Queue(TypedDict):
    """One kind of work; its rows that wait, since when in seconds, and those in hand."""

    kind: str
    queue: str
    waiting: int
    oldest_s: float
    in_work: int


class Failure(TypedDict):
    kind: str
    id: str
    reason: str
    attempts: int
    failed_at: str
    admin_url: str | None


class Minute(TypedDict):
    """Images that ended in the minute that begins at `at` (UTC)."""

    at: str
    ended: int


class Room(TypedDict):
    """Bytes: of uploads, the database, Redis (None while it is away), and the disk they lie on."""

    uploads: int
    database: int
    redis: int | None
    free: int
    disk: int


class Numbers(TypedDict):
    at: str
    redis: bool
    detector: str
    queues: list[Queue]
    workers: list[WorkerShape]
    minutes: list[Minute]
    stages: list[Stage]
    failures: list[Failure]
    room: Room
    listeners: int
    websocket_servers: int


def numbers() -> Numbers:
    """The current numbers, or those of the last two seconds from the cache."""
    with suppress(redis.RedisError):
        known: Any = redis_clients.best_effort().get(_KEY)
        # Redis is input: without the signature its writer could show the staff anything.
        with suppress(signing.BadSignature):
            return cast(Numbers, signing.loads(known or "", salt=_KEY, max_age=_KEPT_S))
    found = _numbers()
    with suppress(redis.RedisError):
        redis_clients.best_effort().set(_KEY, signing.dumps(found, salt=_KEY), ex=_KEPT_S)
    return found


def clear_cache() -> None:
    """The next request gets fresh numbers."""
    with suppress(redis.RedisError):
        redis_clients.best_effort().delete(_KEY)


def _numbers() -> Numbers:
    gauges = exposition.looked_up()
    return {
        "at": timezone.now().isoformat(),
        "redis": bool(_one(gauges, "faces_redis_up")),
        "detector": analysis.default_detector(),
        "queues": list(_queues(gauges)),
        "workers": dashboard_workers.workers(),
        "minutes": minutes(timezone.now()),
        "stages": stages(exposition.counted()),
        "failures": failures(),
        "room": _room(int(_one(gauges, "faces_stored_bytes"))),
        "listeners": int(_one(gauges, "faces_ws_connections")),
        "websocket_servers": int(_one(gauges, "faces_websocket_servers")),
    }


def kinds() -> dict[str, type[Job]]:
    """The models whose failed rows the dashboard lists and retries, by name."""
    every = {str(model._meta.model_name): model for model in apps.get_models()}
    return {kind: every[kind] for kind in settings.RETRIES}  # type: ignore[misc]  # each is a Job


def failures() -> list[Failure]:
    """The newest of each kind that failed for good, the newest first."""
    found = [failure for kind, model in kinds().items() for failure in _failed(kind, model)]
    return sorted(found, key=lambda each: each["failed_at"], reverse=True)[:SHOWN_FAILURES]


def minutes(now: datetime) -> list[Minute]:
    """How many ended in each of the last sixty minutes, the running one last."""
    begins = [
        now.replace(second=0, microsecond=0) - timedelta(minutes=back) for back in range(_MINUTES)
    ][::-1]
    ended: dict[str, int] = {}
    for kind in settings.THROUGHPUT_OF:
        for minute, count in ended_since(kinds()[kind], begins[0]):
            ended[minute] = ended.get(minute, 0) + count
    return [
        {"at": f"{each:%H:%M}", "ended": ended.get(f"{each:%Y-%m-%d %H:%M}", 0)} for each in begins
    ]


def ended_since(model: type[Job], since: datetime) -> Any:
    """Pairs of a minute and how many ended in it, read from the index alone."""
    ended = model._default_manager.filter(processed_at__gte=since).order_by()
    return (
        ended.annotate(minute=_Minute(F("processed_at")))
        .values_list("minute")
        .annotate(count=Count("*"))
    )


def newest_failed(model: type[Job]) -> Any:
    """The newest rows that failed, by an index of failed rows."""
    failed = model._default_manager.filter(status=Status.FAILED).order_by("-processed_at")
    return failed.only("pk", "reason", "attempts", "processed_at")[:SHOWN_FAILURES]


def _failed(kind: str, model: type[Job]) -> Iterator[Failure]:
    for row in newest_failed(model):
        assert row.processed_at is not None
        yield {
            "kind": kind,
            "id": str(row.pk),
            "reason": row.reason,
            "attempts": row.attempts,
            "failed_at": row.processed_at.isoformat(),
            "admin_url": _admin_url(model, row.pk),
        }


def _admin_url(model: type[Job], pk: Any) -> str | None:
    """The row's page in the admin; None for a model that is not there."""
    try:
        return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=[pk])
    except NoReverseMatch:
        return None


class _Minute(Func):
    """`2026-01-02 03:04` of a moment, in UTC: the databases' own, for Django's calls Python."""

    output_field = CharField()

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, template="substr(%(expressions)s, 1, 16)")

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        template = "to_char(%(expressions)s AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI')"
        return self.as_sql(compiler, connection, template=template)


def _queues(gauges: exposition.Gauges) -> Iterator[Queue]:
    oldest = gauges.get("faces_queue_oldest_age_seconds", {})
    in_work = gauges.get("faces_jobs_running", {})
    for labels, depth in gauges.get("faces_queue_depth", {}).items():
        yield {
            "kind": labels[0],
            "queue": labels[1],
            "waiting": int(depth),
            "oldest_s": round(oldest.get(labels, 0.0), 1),
            "in_work": int(in_work.get(labels, 0)),
        }


def _one(gauges: exposition.Gauges, name: str) -> float:
    return gauges.get(name, {}).get((), 0.0)


def _room(uploads: int) -> Room:
    disk = shutil.disk_usage(settings.STORAGE_DIR)
    return {
        "uploads": uploads,
        "database": _database_bytes(),
        "redis": _redis_bytes(),
        "free": disk.free,
        "disk": disk.total,
    }


def _database_bytes() -> int:
    question = {
        "sqlite": "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
        "postgresql": "SELECT pg_database_size(current_database())",
    }
    with connection.cursor() as cursor:
        cursor.execute(question[connection.vendor])
        (size,) = cursor.fetchone()
    return int(size)


def _redis_bytes() -> int | None:
    try:
        memory: Any = redis_clients.default().info("memory")
    except redis.RedisError:
        return None
    return int(memory["used_memory"])
