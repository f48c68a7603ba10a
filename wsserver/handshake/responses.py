"""HTTP responses, for requests that do not open a websocket."""

import json
from collections.abc import Mapping
from http import HTTPStatus

from websockets.datastructures import Headers
from websockets.http11 import Response


def text(status: HTTPStatus, body: str) -> Response:
    """A plain text response."""
    return _response(status, body, "text/plain; charset=utf-8", {})


def error(status: HTTPStatus, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """An error in the shape of the whole service: `{"detail": "…"}`."""
    return _response(status, json.dumps({"detail": detail}), "application/json", headers or {})


def invalid(errors: Mapping[str, list[str]]) -> Response:
    """The validation errors of the options: `{"option": ["…"]}`."""
    return _response(HTTPStatus.BAD_REQUEST, json.dumps(errors), "application/json", {})


def _response(
    status: HTTPStatus, body: str, content_type: str, headers: Mapping[str, str]
) -> Response:
    content = body.encode()
    standard = {
        "Content-Type": content_type,
        "Content-Length": str(len(content)),
        "Cache-Control": "no-store",
        "Connection": "close",
    }
    return Response(status.value, status.phrase, Headers({**standard, **headers}), content)
