"""Log lines that can be followed: each line written during a request ends with the request's id."""

import logging
import re
import uuid
from collections.abc import Callable
from contextvars import ContextVar

from django.http import HttpRequest, HttpResponse

_request_id: ContextVar[str] = ContextVar("request_id", default="")

client: ContextVar[str] = ContextVar("client", default="")
"""The id of the calling client, set by the authentication."""

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


class RequestIdFilter(logging.Filter):
    """Gives every record the attribute `request`: ` request=<id>` during one, else nothing."""

    def filter(self, record: logging.LogRecord) -> bool:
        request_id = _request_id.get()
        request = f" request={request_id}" if request_id else ""
        record.request = f"{request} client={client.get()}" if client.get() else request
        return True
