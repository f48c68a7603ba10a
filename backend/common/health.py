"""Is the service alive, and has it all that it needs?"""

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

import redis
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from rq import Worker
from rq.serializers import JSONSerializer

from backend.common import redis_clients
from backend.common.http.errors import read_only
from backend.common.jobs import queues, registration
from backend.common.storage import base
from backend.common.storage.base import StorageError

logger = logging.getLogger(__name__)


@never_cache
@read_only
def healthcheck(request: HttpRequest) -> HttpResponse:
    """`OK`: this process answers. Asks nobody else: Redis going must not restart the backend."""
    return HttpResponse("OK", content_type="text/plain")


@never_cache
@read_only
def readiness(request: HttpRequest) -> JsonResponse:
    """200 when an upload would be processed now, else 503; tells which part is missing."""
    parts = {name: _state(name, check) for name, check in _CHECKS.items()}
    ready = all(state == "ok" for state in parts.values())
    return JsonResponse({"ready": ready, **parts}, status=200 if ready else 503)


def _state(name: str, check: Callable[[], bool]) -> str:
    try:
        return "ok" if check() else "missing"
    except (DatabaseError, redis.RedisError, StorageError) as error:
        logger.warning("not ready: %s: %s", name, error)
        return "missing"


def _database() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return True


def _redis() -> bool:
    return bool(redis_clients.short().ping())


def _worker() -> bool:
    return living_workers() > 0


def living_workers() -> int:
    """How many workers gave a sign of life lately. Raises `redis.RedisError`."""
    oldest = datetime.now(UTC) - timedelta(seconds=registration.SILENT_S)
    workers = Worker.all(queue=queues.queue(queues.UPLOADS), serializer=JSONSerializer)
    beats = (worker.last_heartbeat for worker in workers)
    return sum(beat is not None and aware(beat) > oldest for beat in beats)


def aware(moment: datetime) -> datetime:
    """rq's dates carry no zone and are in UTC."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


_CHECKS: Final[Mapping[str, Callable[[], bool]]] = {
    "database": _database,
    "redis": _redis,
    "worker": _worker,
    "storage": base.check,
}
