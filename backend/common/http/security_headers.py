"""Security headers: of the HTML pages, and of every answer."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.views.generic import TemplateView


class StrictTransportMiddleware:
    """Strict-Transport-Security (RFC 6797) where `SERVICE_URL` is https.

    Django's own depends on the scheme of the request, which is http behind what ends TLS. Browsers
    ignore the header over http.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if settings.SERVICE_URL.startswith("https://") and settings.FACES_HSTS_SECONDS:
            value = f"max-age={settings.FACES_HSTS_SECONDS}"
            response.headers.setdefault("Strict-Transport-Security", value)
        return response


def policy(request: HttpRequest) -> str:
    """The Content-Security-Policy of a page: everything from this origin, nothing inline.

    The websocket's address is spelled out, because not every browser includes it in `'self'`.
    """
    host = request.get_host()
    return (
        "default-src 'self'; img-src 'self' blob: data:; "
        f"connect-src 'self' ws://{host} wss://{host}; object-src 'none'; "
        "base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
    )


def protect(request: HttpRequest, response: HttpResponseBase) -> None:
    """Add the headers to a page: its policy, and the camera for this origin alone."""
    response.headers.setdefault("Content-Security-Policy", policy(request))
    response.headers.setdefault(
        "Permissions-Policy", "camera=(self), microphone=(), geolocation=()"
    )
    response.headers.setdefault("Cache-Control", "no-cache")


class Page(TemplateView):
    """A template as a page, with the headers of `protect`; GET and HEAD only."""

    http_method_names = ["get", "head", "options"]

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response = super().dispatch(request, *args, **kwargs)
        protect(request, response)
        return response
