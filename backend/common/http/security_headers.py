"""Security headers of the HTML pages."""

from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.views.generic import TemplateView


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
