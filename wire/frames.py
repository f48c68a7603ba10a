"""The frames of the websocket as JSON Schema (2020-12), and the close codes.

`/api/asyncapi.json` publishes them, and tests validate the frames of a real server against them.
docs/events.md explains them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from wire.events import BY_HAND, MESSAGES, OF_SUBMISSIONS, ROTATIONS, Outcome

Schema = dict[str, Any]

_TEXT: Final[Schema] = {"type": "string"}
_MOMENT: Final[Schema] = {"type": "string", "format": "date-time"}
_EVENT_ID: Final[Schema] = {"type": "string", "pattern": r"^\d{1,20}-\d{1,20}$"}
_BOX: Final[Schema] = {
    "type": "object",
    "description": "Pixels of the upright image; `right` and `bottom` lie just outside the face.",
    "properties": {side: {"type": "integer"} for side in ("top", "right", "bottom", "left")},
    "required": ["top", "right", "bottom", "left"],
}
_ROTATION: Final[Schema] = {
    "enum": [*ROTATIONS],
    "description": "Degrees clockwise by which the face is turned; missing where it is upright.",
}
_BY_HAND: Final[Schema] = {
    "enum": [*BY_HAND],
    "description": "A person drew the box, or said that it holds no face; missing otherwise.",
}
_FACE: Final[Schema] = {
    "type": "object",
    "properties": {"box": _BOX, "rotation": _ROTATION, "by_hand": _BY_HAND},
    "required": ["box"],
}

_PROPERTIES: Final[dict[str, Schema]] = {
    "message": {
        "enum": sorted(MESSAGES[each] for each in OF_SUBMISSIONS),
        "description": "The outcome in words.",
    },
    "created_at": _MOMENT,
    "processed_at": _MOMENT,
    "faces_count": {"type": "integer", "minimum": 0},
    "image_url": {"type": ["string", "null"], "format": "uri"},
    "submission_id": {"type": "string", "format": "uuid"},
    "outcome": {"enum": sorted(OF_SUBMISSIONS)},
    "faces": {"type": "array", "items": _FACE},
    "reason": {"type": ["string", "null"], "description": "Why it failed, in words."},
    "event_id": {**_EVENT_ID, "description": "What `since` takes."},
}

EVENT: Final[Schema] = {
    "type": "object",
    "title": "Event",
    "description": "One submission has ended.",
    "properties": _PROPERTIES,
    "required": list(_PROPERTIES),
}

NOTICE: Final[Schema] = {
    "type": "object",
    "title": "Notice",
    "description": "The stream no longer holds every event that was asked for.",
    "properties": {
        "message": _TEXT,
        "oldest_event_id": {**_EVENT_ID, "type": ["string", "null"]},
    },
    "required": ["message", "oldest_event_id"],
    "not": {"required": ["submission_id"]},
}

OPERATION: Final[Schema] = {
    "type": "object",
    "title": "Operation",
    "description": "An operation on a gallery has ended; sent with `outcomes=operation` only.",
    "properties": {
        **{name: _PROPERTIES[name] for name in ("created_at", "processed_at", "event_id")},
        "message": {"const": MESSAGES[Outcome.OPERATION]},
        "operation_id": {"type": "string", "format": "uuid"},
        "operation_url": {"type": "string", "format": "uri"},
        "kind": _TEXT,
        "status": {"enum": ["done", "failed"]},
        "outcome": {"const": Outcome.OPERATION},
        "reason": _PROPERTIES["reason"],
    },
    "required": ["operation_id", "operation_url", "kind", "status", "outcome", "event_id"],
    "not": {"required": ["submission_id"]},
}

FRAME: Final[Schema] = {"oneOf": [EVENT, OPERATION, NOTICE]}
"""Any text frame that the server sends."""


@dataclass(frozen=True)
class Close:
    """One close code: the reasons in the close frame, and what the client should do."""

    reasons: tuple[str, ...]
    then: str


CLOSES: Final[Mapping[int, Close]] = {
    1000: Close(("submission finished",), "nothing: you have it"),
    1001: Close(("the server is stopping",), "connect again, with `since`"),
    1008: Close(("too many messages",), "send less"),
    1009: Close((), "send smaller messages"),
    1011: Close(("keepalive ping timeout",), "answer pings"),
    1013: Close(("too slow",), "connect again, with `since`, and read faster"),
    4401: Close(
        (
            "the token has expired",
            "the token is not valid",
            "a token is needed",
            "the API key was revoked",
        ),
        "`GET /client/` gives a new `feed_url`; connect there, with `since`",
    ),
}
"""By the code of the close frame (RFC 6455, 7.4)."""
