"""Connections to Redis. Everything kept there can be lost: the database is the truth."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Final

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

REDIS_TIMEOUT_S = 1.0
"""How long a request or a task waits for Redis before it goes on without."""

BEST_EFFORT_TIMEOUT_S = 0.1

_UNNAMED: Final = None
"""A client that names itself looks its version up in the packages each time it connects: 2 ms of
every job, which connects from its own fork."""


@cache
def default() -> redis.Redis:
    """For a request or a task: answers or fails within `REDIS_TIMEOUT_S`, so that nothing waits."""
    return _answering_within(REDIS_TIMEOUT_S)


@cache
def best_effort() -> redis.Redis:
    """For what may as well not happen: waits for Redis a moment at most."""
    return _answering_within(BEST_EFFORT_TIMEOUT_S)


@contextmanager
def blocking(timeout_s: float) -> Iterator[redis.Redis]:
    """For one command that waits up to `timeout_s` at the server; closed afterwards."""
    client = redis.Redis.from_url(
        settings.CACHE_BACKEND_URL,
        driver_info=_UNNAMED,
        decode_responses=True,
        socket_timeout=timeout_s + REDIS_TIMEOUT_S,
        socket_connect_timeout=REDIS_TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        yield client
    finally:
        client.close()


def for_rq(*, timeout_s: float | None = REDIS_TIMEOUT_S) -> redis.Redis:
    """For rq, which wants bytes. Workers block on their queue, so they pass `timeout_s=None`."""
    return redis.Redis.from_url(
        settings.CACHE_BACKEND_URL,
        driver_info=_UNNAMED,
        socket_timeout=timeout_s,
        socket_connect_timeout=REDIS_TIMEOUT_S,
        retry=Retry(NoBackoff(), 1),
    )


def _answering_within(timeout_s: float) -> redis.Redis:
    return redis.Redis.from_url(
        settings.CACHE_BACKEND_URL,
        driver_info=_UNNAMED,
        decode_responses=True,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        # A connection that a restart of Redis closed is replaced once; a dead Redis is not awaited.
        retry=Retry(NoBackoff(), 1),
    )
