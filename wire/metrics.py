"""Metrics in Redis: one hash of counters for all processes, and one gauge per websocket server.

Jobs and requests run in several processes that come and go, so none can be scraped for the others:
each adds to the hash, and `GET /metrics` reads it. All of it may be lost with Redis.
"""

from collections.abc import Mapping
from typing import Final

HASH: Final = "faces:metrics"
"""The Redis hash of every counter and histogram: field (`field()`) → whole number."""

SERVERS: Final = "faces:wsservers"
"""The Redis set of the websocket servers, by a random id; some of them may have ended."""

SERVER: Final = "faces:wsserver:{instance}"
"""The Redis key of one server: its number of connections. It expires if the server dies."""

SERVER_TTL_S: Final = 15
"""A server reports every `PUBLISH_S`; after three missed reports it counts as dead."""

PUBLISH_S: Final = 5.0

EVENTS_SENT: Final = "faces_ws_events_sent_total"
SLOW_CONSUMERS: Final = "faces_ws_slow_consumers_disconnected_total"
"""Counters of the websocket servers, which add their growth since the last report."""


def field(name: str, labels: Mapping[str, str]) -> str:
    """`("faces_jobs_total", {"outcome": "done"})` → `faces_jobs_total|outcome=done`."""
    return "|".join([name, *(f"{label}={value}" for label, value in labels.items())])


def parse_field(text: str) -> tuple[str, dict[str, str]]:
    """The inverse of `field`; `ValueError` for any other text."""
    name, *pairs = text.split("|")
    labels = dict(_pair(pair) for pair in pairs)
    return name, labels


def is_broken(reply: object) -> bool:
    """Whether a reply to `HINCRBY` says that the field holds no number that can grow.

    Then the field is to be deleted, because no later addition would succeed.
    """
    refused = ("hash value is not an integer", "increment or decrement would overflow")
    return isinstance(reply, Exception | str) and any(text in str(reply) for text in refused)


def _pair(text: str) -> tuple[str, str]:
    label, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"not a label: {text[:50]!r}")
    return label, value
