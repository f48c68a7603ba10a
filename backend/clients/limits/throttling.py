"""Rate limits: requests, uploads and bytes, for each client, and for each address without a key.

Counted in Redis; without Redis every request is allowed.
"""

from __future__ import annotations

import ipaddress
import logging
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from redis import RedisError
from rest_framework.exceptions import Throttled
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from backend.clients import caller
from backend.common import redis_clients
from backend.common.http import admission

if TYPE_CHECKING:
    from rest_framework.views import APIView  # loads its settings, which name this module

logger = logging.getLogger(__name__)


class Rate(BaseThrottle):
    """Fixed-window counters.

    REST framework's own throttle keeps the time of every call, which at thousands a minute costs
    more than the upload.
    """

    name = ""
    setting = ""
    """Its value: the most in a window, and the window in seconds; None: no limit."""

    def cost(self, request: Request) -> int:
        """What a request raises the counters by; bounded by what its view accepts at most."""
        return 1

    def cost_of(self, size_bytes: int) -> int:
        """The least cost of a request with a body of that size."""
        return 1

    def keys(self, request: Request) -> Iterator[str]:
        """Whose counters the request raises, as parts of cache keys.

        A client's own alone, from wherever it comes: many may share an address.
        """
        yield _key_of(caller.from_request(request), request)

    def allow_request(self, request: Request, view: APIView) -> bool:
        return self.hit(request)

    def hit(self, request: Request) -> bool:
        """Count the request; whether it is within the limit."""
        if (limit := self.limit()) is None:
            return True
        cost, keys = self.cost(request), [self.cache_key(key) for key in self.keys(request)]
        try:
            # Every counter is raised, also when one is over: asking again must not be free.
            is_within = max([self._raise_count(key, cost) for key in keys]) <= limit
            if not is_within and cost > 1:
                # A refused request costs one: what is left is for those that fit into it.
                for key in keys:
                    self._raise_count(key, 1 - cost)
        except RedisError as error:
            self.warn(error)
            return True
        return is_within

    def is_exceeded(self, request: Request, *, size_bytes: int) -> bool:
        """Whether a body of that size would exceed the limit; nothing is counted."""
        if (limit := self.limit()) is None:
            return False
        try:
            counts = cache.get_many([self.cache_key(key) for key in self.keys(request)])
        except RedisError:
            return False
        return max(counts.values(), default=0) + self.cost_of(size_bytes) > limit

    def wait(self) -> float:
        """Seconds until the next window, for Retry-After."""
        return self.window_s - time.time() % self.window_s

    def limit(self) -> int | None:
        value: tuple[int, int] | None = getattr(settings, self.setting)
        if value is None:
            return None
        limit, self.window_s = value
        return limit

    def _raise_count(self, key: str, by: int) -> int:
        """In one round trip; the cache's own `add` and `incr` take three."""
        cache_key = self.redis_key(key)
        with redis_clients.counters().pipeline(transaction=False) as pipeline:
            pipeline.incrby(cache_key, by)
            # Twice the window, so that none ends before it.
            pipeline.expire(cache_key, 2 * self.window_s)
            return int(pipeline.execute()[0])

    def warn(self, error: RedisError) -> None:
        logger.warning("%s are not counted, Redis is out of reach: %s", self.name, error)

    @staticmethod
    def redis_key(key: str) -> str:
        """The key in Redis of a key of the cache."""
        return str(cache.make_key(key))

    def cache_key(self, key: str) -> str:
        return f"{self.name}:{key}:{int(time.time() // self.window_s)}"


class RequestRate(Rate):
    name = "requests"
    setting = "FACES_REQUEST_RATE"


class UploadRate(Rate):
    name = "uploads"
    setting = "FACES_UPLOAD_RATE"


class UploadBytesRate(Rate):
    """Counts the Content-Length, which nginx has made sure is the body's size."""

    name = "bytes"
    setting = "FACES_UPLOAD_BYTES_RATE"

    def cost(self, request: Request) -> int:
        length = request.META.get("CONTENT_LENGTH") or "0"
        return int(length) if length.isdecimal() else 0

    def cost_of(self, size_bytes: int) -> int:
        return size_bytes


class _RefusedRate(RequestRate):
    """A request that is refused before its view counts it counts like any other."""

    def __init__(self, who: caller.Caller) -> None:
        self._who = who

    def keys(self, request: Request) -> Iterator[str]:
        yield _key_of(self._who, request)


def count_refused(request: Request, who: caller.Caller = caller.ANONYMOUS) -> None:
    """Count a request that is refused before its view counts it; `Throttled` past the limit.

    `who` caused it, if authentication has found that.
    """
    rate = _RefusedRate(who)
    if not rate.hit(request):
        raise Throttled(wait=rate.wait())


class CallerKeyMiddleware:
    """Counts each request for its address, until an authentication finds a client or a member."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        token = admission.caller_key.set(f"address={address(request)}")
        try:
            return self.get_response(request)
        finally:
            admission.caller_key.reset(token)


def count_for(who: caller.Caller, request: Request) -> None:
    """Count what the request takes of shared resources for `who`."""
    admission.caller_key.set(_key_of(who, request))


def count_for_member(user_id: int) -> None:
    """As `count_for`, of a member who is logged in."""
    admission.caller_key.set(f"member={user_id}")


def _key_of(who: caller.Caller, request: Request) -> str:
    return f"address={address(request)}" if who.is_anonymous else f"client={who.client_id}"


def address(request: HttpRequest | Request) -> str:
    """The caller's address as nginx saw it, which overwrites what the caller sends.

    Of IPv6 the first 64 bits, because one customer commonly holds that network.
    """
    text = str(request.META.get("HTTP_X_REAL_IP") or request.META.get("REMOTE_ADDR", ""))
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return text
    if found.version == 4 or found.ipv4_mapped:
        return str(getattr(found, "ipv4_mapped", None) or found)
    return str(ipaddress.ip_network((found, 64), strict=False))
