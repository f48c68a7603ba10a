"""Events, each of an ended submission or operation: from the workers to the websocket clients.

An event is one entry of the Redis stream `STREAM`. The id that Redis gives the entry
(`<milliseconds>-<sequence>`) is the event's id, by which a client asks for the events it missed.
"""

import json
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final, NotRequired, TypeAlias, TypedDict, final

from wire import signed_links

STREAM: Final = "faces:events"
"""The Redis stream of events, oldest first, trimmed to the newest `FACES_EVENT_STREAM_MAXLEN`."""

EVENT_OF_SUBMISSION: Final = "faces:event-of:{owner}:{submission_id}"
"""Redis key with the id of a submission's event, so that it is not appended twice.

The owner is part of it, so that an id does not reveal whether another client's submission exists.
"""

EventId: TypeAlias = tuple[int, int]
"""An event's id, comparable by age: milliseconds since 1970 and sequence."""

BEGINNING: Final[EventId] = (0, 0)
"""Older than every event."""

_EVENT_ID: Final = re.compile(r"(\d{1,20})(?:-(\d{1,20}))?", re.ASCII)


class Outcome(StrEnum):
    """How a submission ended; or an operation on a gallery."""

    FACES = "faces"
    NO_FACES = "no_faces"
    FAILED = "failed"
    OPERATION = "operation"


OF_SUBMISSIONS: Final = frozenset(Outcome) - {Outcome.OPERATION}
"""What `outcomes=all` means: operations are sent on request only."""

MESSAGES: Final[Mapping[Outcome, str]] = {
    Outcome.FACES: "Successful face detection",
    Outcome.NO_FACES: "No faces found",
    Outcome.FAILED: "Face detection failed",
    Outcome.OPERATION: "Operation ended",
}


class BoxShape(TypedDict):
    """A bounding box in pixels of the upright image; `right` and `bottom` lie just outside it."""

    top: int
    right: int
    bottom: int
    left: int


DRAWN: Final = "drawn"
HIDDEN: Final = "hidden"

ROTATIONS: Final = (90, 180, 270)
"""Of turned faces, in degrees clockwise."""


BY_HAND: Final = (DRAWN, HIDDEN)


class EventFace(TypedDict):
    """One face of an event."""

    box: BoxShape
    rotation: NotRequired[int]
    """Degrees clockwise by which the face is turned: 90, 180 or 270. Missing: it is upright."""
    by_hand: NotRequired[str]
    """A person drew the box ("drawn"), or said that it holds no face ("hidden")."""


def shown(faces: Iterable[EventFace]) -> list[EventFace]:
    """Those that were not hidden by hand."""
    return [face for face in faces if face.get("by_hand") != HIDDEN]


@final
class Event(TypedDict):
    """One ended submission. The first five keys are the contract's, in its order."""

    message: str
    created_at: str
    processed_at: str
    faces_count: int
    image_url: str | None
    submission_id: str
    outcome: Outcome
    faces: Sequence[EventFace]
    reason: str | None


def build_event(
    *,
    submission_id: str,
    outcome: Outcome,
    created_at: datetime,
    processed_at: datetime,
    faces: Sequence[EventFace] = (),
    image_url: str | None = None,
    reason: str | None = None,
) -> Event:
    """The event of one ended submission; times must be aware."""
    return {
        "message": MESSAGES[outcome],
        "created_at": created_at.isoformat(),
        "processed_at": processed_at.isoformat(),
        "faces_count": len(shown(faces)),
        "image_url": image_url,
        "submission_id": submission_id,
        "outcome": outcome,
        "faces": list(faces),
        "reason": reason,
    }


@final
class OperationEvent(TypedDict):
    """One ended operation on a gallery of faces; its result is at `operation_url`."""

    message: str
    created_at: str
    processed_at: str
    operation_id: str
    operation_url: str
    kind: str
    status: str
    outcome: Outcome
    reason: str | None


def build_operation_event(
    *,
    operation_id: str,
    operation_url: str,
    kind: str,
    status: str,
    created_at: datetime,
    processed_at: datetime,
    reason: str | None = None,
) -> OperationEvent:
    """The event of one ended operation; times must be aware. It names no person and no face."""
    return {
        "message": MESSAGES[Outcome.OPERATION],
        "created_at": created_at.isoformat(),
        "processed_at": processed_at.isoformat(),
        "operation_id": operation_id,
        "operation_url": operation_url,
        "kind": kind,
        "status": status,
        "outcome": Outcome.OPERATION,
        "reason": reason,
    }


def to_entry(event: Event | OperationEvent, *, owner: str, seal: str = "") -> dict[str, str]:
    """The fields of the stream entry that carries `event`; `owner` is the client it is for.

    A `seal` (`wire.signed_links`) has the `image_url` signed when the event is sent.
    Owner, outcome and id stand beside the document, so that a reader can filter without parsing it.
    """
    id = event["submission_id"] if "submission_id" in event else event["operation_id"]
    fields = {
        "owner": owner,
        "submission_id": id,
        "outcome": event["outcome"],
        "event": json.dumps(event),
    }
    return fields | ({"seal": seal} if seal else {})


class Entry(TypedDict):
    """A stream entry as read back."""

    event_id: str
    owner: str
    submission_id: str
    processed_at: str
    outcome: Outcome
    frame: str


def from_entry(event_id: str, fields: Mapping[str, str], *, link_key: bytes = b"") -> Entry:
    """Read a stream entry back, with the text frame for the clients.

    With `link_key` a sealed `image_url` becomes a signed link, valid from now on.
    Raises `ValueError` for an entry that is not an event.
    """
    try:
        event = json.loads(fields["event"], parse_constant=_refuse_constant)
        outcome, submission_id = Outcome(fields["outcome"]), fields["submission_id"]
        owner = fields["owner"]
    except (KeyError, ValueError, RecursionError) as error:
        raise ValueError(f"stream entry {event_id} is not an event: {error!r}") from error
    if not isinstance(event, dict) or not isinstance(event.get("processed_at"), str):
        raise ValueError(f"stream entry {event_id} is not an event: {type(event).__name__}")
    if link_key and "seal" in fields and isinstance(url := event.get("image_url"), str):
        event["image_url"] = signed_links.opened(
            link_key, fields["seal"], owner=owner, url=url, now=time.time()
        )
    try:
        frame = json.dumps({**event, "event_id": event_id}, allow_nan=False)
    except (ValueError, RecursionError) as error:  # it is nested deeper than can be written
        raise ValueError(f"stream entry {event_id} is not an event: {error!r}") from error
    return {
        "event_id": event_id,
        "owner": owner,
        "submission_id": submission_id,
        "processed_at": event["processed_at"],
        "outcome": outcome,
        "frame": frame,
    }


def _refuse_constant(name: str) -> None:
    """`NaN` and `Infinity`, which Python reads, are no JSON: they would break a client's parser."""
    raise ValueError(f"{name} is no JSON")


def parse_event_id(text: str) -> EventId:
    """`"1732896102763-0"` → `(1732896102763, 0)`; `ValueError` otherwise.

    Without a sequence it means the first of that millisecond. Redis takes numbers of 64 bits.
    """
    match = _EVENT_ID.fullmatch(text)
    parts = (int(match[1]), int(match[2] or 0)) if match else None
    if parts is None or max(parts) >= 1 << 64:
        raise ValueError(f"not an event id: {text[:50]!r}")
    return parts


def format_event_id(event_id: EventId) -> str:
    """The inverse of `parse_event_id`."""
    return f"{event_id[0]}-{event_id[1]}"
