"""Redis clients. Everything in Redis can be lost: the database is the truth."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

import redis
from django.conf import settings
from django.core.cache.backends.redis import RedisCache
from redis.backoff import NoBackoff
from redis.connection import DefaultParser
from redis.retry import Retry

REDIS_TIMEOUT_S = 1.0
"""A request or a job waits this long for Redis, then goes on without it."""

BEST_EFFORT_TIMEOUT_S = 0.1

_UNNAMED: Final = None
"""A client that names itself looks up its version at each connect: 2 ms."""


_UNREADABLE: Final = "replace"
"""A value that is not UTF-8 is another text; by default it would be an error of its own kind."""


class Parser(DefaultParser):  # type: ignore[misc, valid-type]
    """Reports a connection that is closed while it is looked at as closed.

    redis-py (8.1) polls the socket twice, and raises a `TypeError` where it has gone between.
    """

    def can_read(self, *arguments: Any, **named: Any) -> bool:
        """Whether data has come. Raises `redis.ConnectionError`."""
        try:
            return bool(super().can_read(*arguments, **named))
        except (AttributeError, TypeError, ValueError) as error:
            raise redis.ConnectionError(f"the connection was closed: {error}") from error


@cache
def default() -> redis.Redis:
    """For requests and jobs: answers or fails within `REDIS_TIMEOUT_S`."""
    return _answering_within(REDIS_TIMEOUT_S)


@cache
def best_effort() -> redis.Redis:
    """For what may be dropped: answers or fails within `BEST_EFFORT_TIMEOUT_S`."""
    return _answering_within(BEST_EFFORT_TIMEOUT_S)


@cache
def counters() -> redis.Redis:
    """For counters in the cache's Redis, which may be lost; waits as long as the cache does."""
    return _answering_within(0.5, settings.FACES_CACHE_URL)


@contextmanager
def blocking(timeout_s: float) -> Iterator[redis.Redis]:
    """For one command that blocks at the server for up to `timeout_s`; closed afterwards."""
    client = redis.Redis.from_url(
        settings.CACHE_BACKEND_URL,
        driver_info=_UNNAMED,
        parser_class=Parser,
        decode_responses=True,
        encoding_errors=_UNREADABLE,
        socket_timeout=timeout_s + REDIS_TIMEOUT_S,
        socket_connect_timeout=REDIS_TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        yield client
    finally:
        client.close()


def for_rq(*, timeout_s: float | None = REDIS_TIMEOUT_S) -> redis.Redis:
    """For rq, which reads bytes. A worker blocks on its queue and passes a longer timeout."""
    return redis.Redis.from_url(
        settings.CACHE_BACKEND_URL,
        driver_info=_UNNAMED,
        parser_class=Parser,
        socket_timeout=timeout_s,
        socket_connect_timeout=REDIS_TIMEOUT_S,
        retry=Retry(NoBackoff(), 1),
    )


def _answering_within(timeout_s: float, url: str = "") -> redis.Redis:
    return redis.Redis.from_url(
        url or settings.CACHE_BACKEND_URL,
        driver_info=_UNNAMED,
        parser_class=Parser,
        decode_responses=True,
        encoding_errors=_UNREADABLE,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        # A connection that a restart of Redis closed is replaced once; a dead Redis is not awaited.
        retry=Retry(NoBackoff(), 1),
    )


class NumbersOnly:
    """Serializer of the cache: whole numbers as text, and nothing else in either direction.

    Django's own falls back to pickle, with which write access to Redis means code in this process.
    """

    def dumps(self, value: int) -> int:
        if type(value) is not int:
            raise TypeError(f"the cache holds whole numbers, not {type(value).__name__}")
        return value

    def loads(self, data: bytes) -> int:
        """Raises `redis.RedisError` for anything but a number, like a Redis that is away."""
        try:
            return int(data)
        except ValueError:
            raise redis.DataError("a value of the cache is no number") from None


class MarkingCache(RedisCache):
    """Stores what is added as 1: such a mark counts by being there.

    Libraries mark by True or a letter that a code or token was used, which `NumbersOnly` refuses.
    """

    def add(self, key: Any, value: Any, *more: Any, **named: Any) -> bool:
        return super().add(key, 1, *more, **named)
