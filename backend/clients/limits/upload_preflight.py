"""Who may send a body, asked by nginx before it takes one: a stranger's is not even read.

The view that the request is for answers by its own classes, as it would before it reads a body;
what is refused goes out with the words and headers that the view would have used.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from django.conf import settings
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest, HttpResponse
from django.urls import Resolver404, ResolverMatch, resolve
from rest_framework.exceptions import APIException, Throttled
from rest_framework.request import Request
from rest_framework.views import APIView

from backend.clients.caller import Caller
from backend.clients.limits import throttling
from backend.clients.limits.quota import BEING_ERASED
from backend.clients.models import Client
from backend.common.http.errors import TooLarge, Unavailable

FORM_BYTES: Final = 64 * 1024
"""Of the form around a file; nginx has the same allowance."""

REFUSAL: Final = "X-Faces-Refusal"
"""The header in which nginx finds what to say; it cannot read the body of this answer."""

TOO_LARGE: Final = "The upload is too large."
LOG_IN: Final = "Log in first."


class LengthNeeded(APIException):
    status_code = 411
    default_detail = "Say how long the body is: send a Content-Length."
    default_code = "length_needed"


def may_send(request: HttpRequest) -> HttpResponse:
    """204, or the refusal of the request that the headers `X-Asked-…` tell of."""
    asked = _asked(request)
    try:
        match = resolve(asked.path_info)
    except Resolver404:
        return _refusal(404, {"detail": "Not found."})
    view_class: Any = getattr(match.func, "cls", object)
    if issubclass(view_class, APIView):
        return _by_view(view_class, asked, match)
    # A page: without a session there is nothing to send but a login, which is smaller than what
    # nginx asks about.
    if not request.user.is_authenticated:
        return _refusal(403, {"detail": LOG_IN})
    return HttpResponse(status=204)


def _asked(request: HttpRequest) -> WSGIRequest:
    """The request that is asked about, without its body."""
    path, _, query = request.headers.get("X-Asked-Uri", "/").partition("?")
    environ = {
        **request.META,
        "REQUEST_METHOD": request.headers.get("X-Asked-Method", "POST"),
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "CONTENT_LENGTH": request.headers.get("X-Asked-Length", ""),
        "wsgi.input": io.BytesIO(),
    }
    asked = WSGIRequest(environ)
    asked.session = request.session
    asked.user = request.user
    # Its token may be in the form, which is not here. The view itself looks for it.
    asked._dont_enforce_csrf_checks = True  # type: ignore[attr-defined]
    return asked


def _by_view(view_class: type[APIView], asked: WSGIRequest, match: ResolverMatch) -> HttpResponse:
    view = view_class(**getattr(match.func, "initkwargs", {}))
    view.setup(asked, *match.args, **match.kwargs)
    view.request = view.initialize_request(asked, *match.args, **match.kwargs)
    view.headers = view.default_response_headers
    try:
        view.perform_authentication(view.request)
        view.check_permissions(view.request)
        _check_length(view, view.request)
        _check_rates(view, view.request)
        _check_erasure(view.request)
    except Exception as error:
        answer = view.handle_exception(error)
        return _refusal(answer.status_code, answer.data, answer.headers)
    return HttpResponse(status=204)


def _check_length(view: APIView, request: Request) -> None:
    own: int | None = getattr(view, "max_body_bytes", None)
    length = request.META["CONTENT_LENGTH"]
    if own is not None and not length.isdecimal():
        raise LengthNeeded
    most = settings.FACES_MAX_UPLOAD_BYTES + FORM_BYTES if own is None else own
    if length.isdecimal() and int(length) > most:
        raise TooLarge(TOO_LARGE)


def _check_rates(view: APIView, request: Request) -> None:
    """Only looked at: who gets in is counted by the view."""
    for rate in view.get_throttles():
        if isinstance(rate, throttling.Rate) and rate.is_used_up(request):
            raise Throttled(wait=rate.wait())


def _check_erasure(request: Request) -> None:
    if not isinstance(request.auth, Caller) or request.method != "POST":
        return
    if Client.objects.filter(pk=request.auth.client_id, erasing_since__isnull=False).exists():
        raise Unavailable(BEING_ERASED)


def _refusal(status: int, body: Any, headers: Mapping[str, str] | None = None) -> HttpResponse:
    passed = {
        name: value
        for name, value in (headers or {}).items()
        if name in ("WWW-Authenticate", "Retry-After")
    }
    # As ASCII, for it travels in a header.
    return HttpResponse(status=status, headers={**passed, REFUSAL: json.dumps(body)})
