"""How often one caller may ask: requests, uploads and bytes in a time.

Counted in Redis, for each client and each address; without Redis nobody is turned away.
"""

from __future__ import annotations

import hashlib
import ipaddress
import logging
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.cache import cache
from redis import RedisError
from rest_framework.exceptions import Throttled
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from backend.clients import caller

if TYPE_CHECKING:
    from rest_framework.views import APIView  # loads its settings, which name this module

logger = logging.getLogger(__name__)


class Rate(BaseThrottle):
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
        return self.take(request)

    def take(self, request: Request) -> bool:
        """Count the request; whether it is within the limit."""
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

    def is_used_up(self, request: Request) -> bool:
        """Whether the request would be over the limit; nothing is counted."""
        limit = self.limit()
        if limit is None:
            return False
        most, self.window_s = limit
        try:
            counts = cache.get_many([self._key(who) for who in self.who(request)])
        except RedisError:
            return False
        return max(counts.values(), default=0) + self.cost(request) > most

    def wait(self) -> float:
        """Seconds until the next window: the answer's Retry-After."""
        return self.window_s - time.time() % self.window_s

    def _raise_count(self, who: str, by: int) -> int:
        key = self._key(who)
        # Twice as long as it counts: ended between the two, it could not be raised any more.
        cache.add(key, 0, timeout=2 * self.window_s)
        return cache.incr(key, by)

    def _key(self, who: str) -> str:
        return f"{self.name}:{who}:{int(time.time() // self.window_s)}"


class RequestRate(Rate):
    name = "requests"

    def limit(self) -> tuple[int, int] | None:
        return settings.FACES_REQUEST_RATE


class UploadRate(Rate):
    name = "uploads"

    def limit(self) -> tuple[int, int] | None:
        return settings.FACES_UPLOAD_RATE


class UploadBytesRate(Rate):
    """Counts what the request says it brings: nginx has made sure that it brings just that."""

    name = "bytes"

    def limit(self) -> tuple[int, int] | None:
        return settings.FACES_UPLOAD_BYTES_RATE

    def cost(self, request: Request) -> int:
        length = request.META.get("CONTENT_LENGTH") or "0"
        return int(length) if length.isdecimal() else 0


class _RefusedRate(RequestRate):
    """A request that came no further than the door counts for its address as any other."""

    def who(self, request: Request) -> Iterator[str]:
        yield f"address={address(request)}"


def count_refused(request: Request) -> None:
    """Count a request that is refused before its view counts it; `Throttled` past the limit."""
    rate = _RefusedRate()
    if not rate.take(request):
        raise Throttled(wait=rate.wait())


def address(request: Request) -> str:
    """The caller's address as nginx saw it, which sets the header whatever the caller sent.

    Of IPv6 the first 64 bits: one customer commonly holds all addresses that begin so.
    """
    text = str(request.META.get("HTTP_X_REAL_IP") or request.META.get("REMOTE_ADDR", ""))
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return text
    if found.version == 4 or found.ipv4_mapped:
        return str(getattr(found, "ipv4_mapped", None) or found)
    return str(ipaddress.ip_network((found, 64), strict=False))


class LoginRate(Rate):
    """Attempts to log in with a password, from one address and for one name."""

    name = "logins"

    def limit(self) -> tuple[int, int] | None:
        return settings.FACES_LOGIN_RATE

    def who(self, request: Request) -> Iterator[str]:
        yield f"address={address(request)}"
        # Hashed, for it may be any text.
        yield f"name={hashlib.sha256(self.username(request).encode()).hexdigest()}"

    def username(self, request: Request) -> str:
        return str(request.POST.get("username", ""))
