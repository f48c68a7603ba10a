"""What the processes count, where all can add to it: one hash in Redis, and a note per server.

Jobs and requests run in several processes that come and go, so that none can be asked for the
numbers: each adds to the hash, and `GET /metrics` reads it. All of it may be lost with Redis.
"""

from collections.abc import Mapping
from typing import Final

HASH: Final = "faces:metrics"
"""The Redis hash of every counter and histogram: field (`field()`) → whole number."""

SERVERS: Final = "faces:wsservers"
"""The Redis set of the websocket servers, by a name of their own, also of some that ended."""

SERVER: Final = "faces:wsserver:{instance}"
"""The Redis key of one of them, there while it lives: how many listen to it."""

SERVER_TTL_S: Final = 15
"""A server says that it lives every `PUBLISH_S`; three misses are its death."""

PUBLISH_S: Final = 5.0

EVENTS_SENT: Final = "faces_ws_events_sent_total"
SLOW_CONSUMERS: Final = "faces_ws_slow_consumers_disconnected_total"
"""Counted by the websocket servers, each time only what has come since the last."""


def field(name: str, labels: Mapping[str, str]) -> str:
    """`("faces_jobs_total", {"outcome": "done"})` → `faces_jobs_total|outcome=done`."""
    return "|".join([name, *(f"{label}={value}" for label, value in labels.items())])


def parse_field(text: str) -> tuple[str, dict[str, str]]:
    """The inverse of `field`; `ValueError` for what it did not make."""
    name, *pairs = text.split("|")
    labels = dict(_pair(pair) for pair in pairs)
    return name, labels


def _pair(text: str) -> tuple[str, str]:
    label, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"not a label: {text[:50]!r}")
    return label, value
