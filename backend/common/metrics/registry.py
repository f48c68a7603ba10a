"""Metrics: declared here by each app, counted in Redis, shown by `GET /metrics` (docs/metrics.md).

The counts of a `batch()`, which every request and every job is, go to Redis in one round trip at
its end. Without Redis they are dropped, and nothing waits.

Labels are words from short lists, never an id, a name or an address: each value is a series that
Prometheus keeps, and a reader of metrics may not see what clients do.
"""

import logging
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import redis

from backend.common import redis_clients
from wire import metrics as wire

logger = logging.getLogger(__name__)

BUCKETS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)
"""Upper bounds of the histograms, in seconds: from an answer out of memory to a long queue."""

SUM: Final = "sum_us"
"""In a histogram's fields `le` is a bucket, or this for the sum of all, in microseconds."""

_PAUSE_AFTER_FAILURE_S: Final = 2.0
"""A Redis that hangs costs one timeout in this time, not one in every request."""


class Kind(StrEnum):
    COUNTER = "counter"
    HISTOGRAM = "histogram"
    GAUGE = "gauge"


@dataclass(frozen=True)
class Metric:
    """A declared metric. `help` is what docs/metrics.md and Prometheus say of it."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Sample:
    """One number of a gauge, as the sources in `settings.METRICS_SOURCES` give them."""

    name: str
    value: float
    labels: Mapping[str, str]


DECLARED: Final[dict[str, Metric]] = {}


def counter(name: str, help: str, *labels: str) -> str:
    """Declare a number that only grows; returns its name, for `count`."""
    return _declare(Metric(name, Kind.COUNTER, help, labels))


def histogram(name: str, help: str, *labels: str) -> str:
    """Declare a distribution of durations; returns its name, for `observe` and `timed`."""
    return _declare(Metric(name, Kind.HISTOGRAM, help, labels))


def gauge(name: str, help: str, *labels: str) -> str:
    """Declare a number that is read when the page is requested; returns its name, for `Sample`."""
    return _declare(Metric(name, Kind.GAUGE, help, labels))


def _declare(metric: Metric) -> str:
    DECLARED[metric.name] = metric
    return metric.name


EVENTS_SENT: Final = counter(wire.EVENTS_SENT, "Event frames sent to websocket clients.")
SLOW_CONSUMERS: Final = counter(
    wire.SLOW_CONSUMERS, "Websocket clients disconnected because they read too slowly."
)


def count(name: str, by: int = 1, **labels: str) -> None:
    """Add `by` to a counter."""
    _add({_field(name, labels): by})


def observe(name: str, seconds: float, **labels: str) -> None:
    """Add one duration to a histogram."""
    place = bisect_left(BUCKETS_S, seconds)
    bound = str(BUCKETS_S[place]) if place < len(BUCKETS_S) else "+Inf"
    stem = _field(name, labels)
    _add({f"{stem}|le={bound}": 1, f"{stem}|le={SUM}": max(0, round(seconds * 1e6))})


@contextmanager
def timed(name: str, **labels: str) -> Iterator[None]:
    """Add the duration of the block to a histogram, also if it fails."""
    started = time.perf_counter()
    try:
        yield
    finally:
        observe(name, time.perf_counter() - started, **labels)


@contextmanager
def batch() -> Iterator[None]:
    """Send the counts of the block at its end, in one round trip."""
    pending: Counter[str] = Counter()
    token = _pending.set(pending)
    try:
        yield
    finally:
        _pending.reset(token)
        _send(pending)


_pending: ContextVar[Counter[str] | None] = ContextVar("pending metrics", default=None)


def _field(name: str, labels: Mapping[str, str]) -> str:
    # In the declared order, however they were given: one series is one field.
    return wire.field(name, {label: labels[label] for label in DECLARED[name].labels})


def _add(changes: Mapping[str, int]) -> None:
    pending = _pending.get()
    if pending is None:
        _send(changes)
    else:
        pending.update(changes)


# In a command each they would take the sender five times as long. Returns fields that were refused,
# each with the reason behind it.
_ADD: Final = """
local refused = {}
for i = 1, #ARGV, 2 do
  local reply = redis.pcall('HINCRBY', KEYS[1], ARGV[i], ARGV[i + 1])
  if type(reply) == 'table' and reply.err then
    table.insert(refused, ARGV[i])
    table.insert(refused, reply.err)
  end
end
return refused
"""


class _Away:
    """Until when Redis is left alone."""

    until = 0.0


def _send(changes: Mapping[str, int]) -> None:
    if not changes or time.monotonic() < _Away.until:
        return
    try:
        pairs = [part for change in changes.items() for part in change]
        refused: Any = redis_clients.best_effort().eval(_ADD, 1, wire.HASH, *pairs)
        if refused:
            _begin_anew(dict(zip(refused[::2], refused[1::2], strict=True)))
    except redis.RedisError as error:
        _Away.until = time.monotonic() + _PAUSE_AFTER_FAILURE_S
        logger.debug("metrics are not counted, Redis is out of reach: %s", error)


def _begin_anew(refused: Mapping[str, str]) -> None:
    """Delete the fields that hold no numbers; raises `redis.RedisError` for another reason."""
    broken = [field for field, reason in refused.items() if wire.is_broken(reason)]
    if not broken:
        raise redis.ResponseError(next(iter(refused.values())))
    logger.warning("these metrics held no numbers and begin anew: %s", ", ".join(broken))
    redis_clients.best_effort().hdel(wire.HASH, *broken)
