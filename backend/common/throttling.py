"""How often one address may call. Counted in Redis; without Redis nobody is turned away."""

import logging
import time

from django.conf import settings
from django.core.cache import cache
from redis import RedisError
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

logger = logging.getLogger(__name__)


class UploadThrottle(BaseThrottle):
    """At most `FACES_UPLOAD_RATE` uploads an address, in fixed windows of one counter each.

    REST framework's own throttle keeps the time of every call, which at thousands a minute costs
    more than the upload.
    """

    def allow_request(self, request: Request, view: APIView) -> bool:
        if settings.FACES_UPLOAD_RATE is None:
            return True
        limit, self.window_s = settings.FACES_UPLOAD_RATE
        window = int(time.time() // self.window_s)
        try:
            return _count(f"uploads:{address(request)}:{window}", self.window_s) <= limit
        except RedisError as error:
            logger.warning("uploads are not counted, Redis is out of reach: %s", error)
            return True

    def wait(self) -> float:
        """Seconds until the next window: the answer's Retry-After."""
        return self.window_s - time.time() % self.window_s


def address(request: Request) -> str:
    """The caller's address as nginx saw it, which sets the header whatever the caller sent."""
    return str(request.META.get("HTTP_X_REAL_IP") or request.META.get("REMOTE_ADDR", ""))


def _count(key: str, lifespan_s: int) -> int:
    cache.add(key, 0, timeout=lifespan_s)
    return cache.incr(key)
