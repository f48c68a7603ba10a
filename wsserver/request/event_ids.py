"""Event ids as reporter, so that they compare by age."""

from typing import Final, TypeAlias

EventId: TypeAlias = tuple[int, int]
"""An event's id as `wire.events.parse_event_id` gives it: milliseconds and sequence."""

BEGINNING: Final[EventId] = (0, 0)
"""Older than every event."""


def to_text(event_id: EventId) -> str:
    """As Redis and the clients write it."""
    return f"{event_id[0]}-{event_id[1]}"
