"""How often one caller may ask: requests, uploads and bytes in a time.

Counted in Redis, for each client and each address; without Redis nobody is turned away.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.cache import cache
from redis import RedisError
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from backend.clients import caller

if TYPE_CHECKING:
    from rest_framework.views import APIView  # loads its settings, which name this module

logger = logging.getLogger(__name__)


class _Rate(BaseThrottle):
    """Fixed windows of one counter each.

    REST framework's own throttle keeps the time of every call, which at thousands a minute costs
    more than the upload.
    """

    name = ""

    def limit(self) -> tuple[int, int] | None:
        raise NotImplementedError

    def cost(self, request: Request) -> int:
        return 1

    def who(self, request: Request) -> Iterator[str]:
        """Those that the request counts for, as parts of keys."""
        yield f"address={address(request)}"
        if not caller.of(request).is_anonymous:
            yield f"client={caller.of(request).client_id}"

    def allow_request(self, request: Request, view: APIView) -> bool:
        limit = self.limit()
        if limit is None:
            return True
        most, self.window_s = limit
        try:
            # Every count is raised, also when one is over: asking again must not be free.
            counts = [self._raise_count(who, self.cost(request)) for who in self.who(request)]
        except RedisError as error:
            logger.warning("%s are not counted, Redis is out of reach: %s", self.name, error)
            return True
        return max(counts) <= most

    def wait(self) -> float:
        """Seconds until the next window: the answer's Retry-After."""
        return self.window_s - time.time() % self.window_s

    def _raise_count(self, who: str, by: int) -> int:
        key = f"{self.name}:{who}:{int(time.time() // self.window_s)}"
        cache.add(key, 0, timeout=self.window_s)
        return cache.incr(key, by)


class RequestRate(_Rate):
    name = "requests"

    def limit(self) -> tuple[int, int] | None:
        return settings.FACES_REQUEST_RATE


class UploadRate(_Rate):
    name = "uploads"

    def limit(self) -> tuple[int, int] | None:
        return settings.FACES_UPLOAD_RATE


class UploadBytesRate(_Rate):
    """Counts what the request says it brings: nginx has made sure that it brings just that."""

    name = "bytes"

    def limit(self) -> tuple[int, int] | None:
        return settings.FACES_UPLOAD_BYTES_RATE

    def cost(self, request: Request) -> int:
        length = request.META.get("CONTENT_LENGTH") or "0"
        return int(length) if length.isdecimal() else 0


def address(request: Request) -> str:
    """The caller's address as nginx saw it, which sets the header whatever the caller sent."""
    return str(request.META.get("HTTP_X_REAL_IP") or request.META.get("REMOTE_ADDR", ""))


class LoginRate(_Rate):
    """Attempts to log in to the admin, from one address and for one name."""

    name = "logins"

    def limit(self) -> tuple[int, int] | None:
        return settings.FACES_LOGIN_RATE

    def who(self, request: Request) -> Iterator[str]:
        yield f"address={address(request)}"
        # Hashed, for it may be any text.
        name = request.POST.get("username", "")
        yield f"name={hashlib.sha256(name.encode()).hexdigest()}"
