"""Pages for people: what a browser may load on them, and from where."""

from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.views.generic import TemplateView


def policy(request: HttpRequest) -> str:
    """The Content-Security-Policy of a page: everything from here, and nothing written into it.

    The feed's address is spelled out, for not every browser takes `'self'` to mean websockets too.
    """
    host = request.get_host()
    return (
        "default-src 'self'; img-src 'self' blob: data:; "
        f"connect-src 'self' ws://{host} wss://{host}; object-src 'none'; "
        "base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
    )


def protect(request: HttpRequest, response: HttpResponseBase) -> None:
    """Put the headers on a page: its policy, and that only it may ask for the camera."""
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
