"""Is the service alive, and has it all that it needs?"""

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpResponse
from django.utils.decorators import method_decorator
from django.utils.module_loading import import_string
from django.views.decorators.cache import never_cache
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from backend.common import redis_clients
from backend.common.http.public import PublicView
from backend.common.jobs import workers
from backend.common.openapi import response
from backend.common.storage import base
from backend.common.storage.base import StorageError
from wire.release import VERSION

logger = logging.getLogger(__name__)


_STATES: Final = ("ok", "missing")
_READY: Final = {
    "ready": True,
    **dict.fromkeys(("database", "redis", "worker", "storage"), "ok"),
    "detector": "hog",
    "version": VERSION,
}


class ReadinessSerializer(serializers.Serializer[Any]):
    ready = serializers.BooleanField()
    database = serializers.ChoiceField(_STATES)
    redis = serializers.ChoiceField(_STATES)
    worker = serializers.ChoiceField(_STATES)
    storage = serializers.ChoiceField(_STATES)
    detector = serializers.CharField(help_text="Finds the faces of uploads.")
    version = serializers.CharField(help_text="Of this release.")


@method_decorator(never_cache, name="dispatch")
@extend_schema(tags=["Service"])
class HealthcheckView(PublicView):
    api_path = "/healthcheck"

    @extend_schema(
        operation_id="healthcheck",
        responses={(200, "text/plain"): response({"const": "OK"}, "It does.")},
    )
    def get(self, request: Request) -> HttpResponse:
        """Does the service answer?

        Asks nothing else: with Redis or the database away it is `OK` as well.
        """
        # If Redis is down, a restart of the backend does not help.
        return HttpResponse("OK", content_type="text/plain")


@method_decorator(never_cache, name="dispatch")
@extend_schema(tags=["Service"])
class ReadinessView(PublicView):
    @extend_schema(
        operation_id="readiness",
        responses={
            200: response(ReadinessSerializer, "It would.", _READY),
            503: response(
                ReadinessSerializer,
                "Something is missing.",
                {**_READY, "ready": False, "redis": "missing"},
            ),
        },
    )
    def get(self, request: Request) -> Response:
        """Would an upload be processed now?"""
        parts = {name: _state(name, check) for name, check in _CHECKS.items()}
        ready = all(state == "ok" for state in parts.values())
        detector = import_string(settings.DETECTOR_IN_USE)()
        answer = {"ready": ready, **parts, "detector": detector, "version": VERSION}
        return Response(answer, status=200 if ready else 503)


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
    return bool(redis_clients.default().ping())


def _worker() -> bool:
    return bool(workers.living())


_CHECKS: Final[Mapping[str, Callable[[], bool]]] = {
    "database": _database,
    "redis": _redis,
    "worker": _worker,
    "storage": base.check,
}
