"""The websocket as an AsyncAPI document."""

from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings

from backend.common.http.service_url import service_url
from wire import frames
from wire.events import Outcome

_EXAMPLE: Final = {
    "message": "Successful face detection",
    "created_at": "2026-01-02T03:04:05.678901+00:00",
    "processed_at": "2026-01-02T03:04:06.012345+00:00",
    "faces_count": 1,
    "image_url": "http://localhost:8282/static/processed_faces/72/46/7246f927-….jpg",
    "submission_id": "7246f927-3c53-4d2f-9f4e-5f4f4b0d1f6a",
    "outcome": "faces",
    "faces": [{"box": {"top": 171, "right": 409, "bottom": 439, "left": 141}}],
    "reason": None,
    "event_id": "1767323046012-0",
}

_OPERATION: Final = {
    "message": "Operation ended",
    "created_at": "2026-01-02T03:04:05.678901+00:00",
    "processed_at": "2026-01-02T03:04:06.012345+00:00",
    "operation_id": "0b1f3a52-6b0e-4f7e-8f0a-6a2f9c1d7e44",
    "operation_url": (
        "http://localhost:8282/recognition/operations/0b1f3a52-6b0e-4f7e-8f0a-6a2f9c1d7e44/"
    ),
    "kind": "add",
    "status": "done",
    "outcome": "operation",
    "reason": None,
    "event_id": "1767323046012-0",
}

_OPTIONS: Final = {
    "outcomes": {
        "type": "string",
        "description": f"`all`, or some of {', '.join(Outcome)}, separated by commas.",
    },
    "since": {"type": "string", "description": "The last event seen, or Unix time in ms."},
    "submission": {"type": "string", "format": "uuid", "description": "Only this one's event."},
    "token": {"type": "string", "description": "Whose events; `GET /client/` gives one."},
}


def document() -> dict[str, Any]:
    """AsyncAPI 3.0: one channel, its kinds of frames, and how a connection ends."""
    address = urlsplit(service_url())
    server = {"host": address.netloc, "protocol": address.scheme.replace("http", "ws")}
    if address.path:
        server["pathname"] = address.path
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Faces: events",
            "version": settings.SPECTACULAR_SETTINGS["VERSION"],
            "description": "Every image in which faces were found, as soon as it is done.",
        },
        "defaultContentType": "application/json",
        "servers": {"faces": server},
        "channels": {"faces": _channel()},
        "operations": {
            "receive": {
                "action": "send",
                "channel": {"$ref": "#/channels/faces"},
                "summary": "The server sends; what a client sends is ignored.",
            }
        },
        "components": {
            "messages": {
                "event": _message(frames.EVENT, example=_EXAMPLE),
                "operation": _message(frames.OPERATION, example=_OPERATION),
                "notice": _message(
                    frames.NOTICE,
                    example={
                        "message": "Some events are no longer available",
                        "oldest_event_id": "1767323046012-0",
                    },
                ),
            }
        },
    }


def _channel() -> dict[str, Any]:
    return {
        "address": "/faces",
        "messages": {
            name: {"$ref": f"#/components/messages/{name}"}
            for name in ("event", "operation", "notice")
        },
        "bindings": {
            "ws": {
                "bindingVersion": "0.1.0",
                "method": "GET",
                "query": {"type": "object", "properties": _OPTIONS, "additionalProperties": False},
            }
        },
        # AsyncAPI has no word for close codes; its extensions begin with `x-`.
        "x-close-codes": {
            str(code): {"reasons": list(close.reasons), "then": close.then}
            for code, close in frames.CLOSES.items()
        },
    }


def _message(schema: frames.Schema, *, example: dict[str, Any]) -> dict[str, Any]:
    return {
        "title": schema["title"],
        "summary": schema["description"],
        "contentType": "application/json",
        "payload": schema,
        "examples": [{"payload": example}],
    }
