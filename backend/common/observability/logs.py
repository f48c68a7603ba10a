"""Log lines that can be followed: each names the request, client and submission it belongs to.

`wire.logs` writes them, for the websocket server too.
"""

import logging
import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.http import HttpRequest, HttpResponse

_request_id: ContextVar[str] = ContextVar("request_id", default="")

client: ContextVar[str] = ContextVar("client", default="")
"""The id of the calling client, set by the authentication."""

_submission: ContextVar[str] = ContextVar("submission", default="")

_WELL_FORMED = re.compile(r"[A-Za-z0-9-]{8,64}", re.ASCII)


class RequestIdMiddleware:
    """Takes the id that nginx gave the request, or makes one, and names it in the answer."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get("X-Request-ID", "")
        # Anything else could forge log lines.
        token = _request_id.set(given if _WELL_FORMED.fullmatch(given) else uuid.uuid4().hex)
        client.set("")
        try:
            response = self.get_response(request)
            response["X-Request-ID"] = _request_id.get()
            return response
        finally:
            _request_id.reset(token)


class ContextFilter(logging.Filter):
    """Adds the ids of the request, client and submission to every record."""

    def filter(self, record: logging.LogRecord) -> bool:
        for name, value in context().items():
            setattr(record, f"{name}_id", value)
        return True


def context() -> dict[str, str]:
    """The ids of `request`, `client` and `submission`, empty where there is none."""
    return {
        "request": _request_id.get(),
        "client": client.get(),
        "submission": _submission.get(),
    }


@contextmanager
def about_submission(id: str) -> Iterator[None]:
    """Every line within the block is about this submission."""
    token = _submission.set(id)
    try:
        yield
    finally:
        _submission.reset(token)
