"""Counts requests and their duration, by view, method and status."""

import time
from collections.abc import Callable
from typing import Final

from django.http import HttpRequest, HttpResponse

from backend.common.metrics import registry

REQUESTS: Final = registry.histogram(
    "faces_http_request_duration_seconds",
    "Duration of a request, without nginx.",
    "view",
    "method",
    "status",
)

_NOT_COUNTED: Final = ("/healthcheck", "/healthcheck/")
"""Probed every few seconds, and answered without Redis."""

_METHODS: Final = frozenset(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])


class MetricsMiddleware:
    """Sends the counts of a request to Redis at its end, in one round trip."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info in _NOT_COUNTED:
            return self.get_response(request)
        started = time.perf_counter()
        with registry.batch():
            response = self.get_response(request)
            registry.observe(
                REQUESTS,
                time.perf_counter() - started,
                view=_view(request),
                # An invented method would be a new series each time.
                method=request.method if request.method in _METHODS else "other",
                status=str(response.status_code),
            )
        return response


def _view(request: HttpRequest) -> str:
    """The view's name in urls.py; `none` for an unknown path."""
    match = request.resolver_match
    return match.view_name.rpartition(".")[2] if match is not None else "none"
