"""Values read from Redis, which is input: each is what it should be, or None."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

_LARGEST: Final = (1 << 63) - 1
"""Of Redis' own counters."""


def whole_number(text: str | None) -> int | None:
    """The number from 0 to 2⁶³ - 1 that Redis writes as `text`."""
    if text is None or not text.isascii() or not text.isdecimal() or len(text) > 19:
        return None
    number = int(text)
    return number if number <= _LARGEST else None


def moment(text: str | None) -> datetime | None:
    """The time, with its zone, that rq writes as `text`: ISO 8601, in UTC where it names none."""
    try:
        found = datetime.fromisoformat(text or "")
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):  # a year that the zone moves out of the calendar
        return None
