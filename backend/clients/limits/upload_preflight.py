"""Upload preflight: nginx (`auth_request`) asks before it reads a large body.

The target view's own classes authenticate the caller, so a refused body is never buffered.
"""

from __future__ import annotations

import json
from typing import Any, Final
from urllib.parse import unquote

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import Resolver404, ResolverMatch, resolve
from rest_framework.exceptions import APIException, Throttled
from rest_framework.request import Request, clone_request
from rest_framework.views import APIView

from backend.clients.caller import Caller
from backend.clients.limits import throttling
from backend.clients.limits.quota import BEING_ERASED
from backend.clients.models import Client
from backend.common.http.errors import TooLarge, Unavailable

FORM_BYTES: Final = 64 * 1024
"""Size of the multipart form around a file; nginx grants the same."""

REFUSAL: Final = "X-Faces-Refusal"
"""Header with the JSON that nginx answers: `auth_request` discards this response's body."""

_PASSED_ON: Final = ("WWW-Authenticate", "Retry-After")


class LengthRequired(APIException):
    status_code = 411
    default_detail = "Send a Content-Length: the length of this upload must be known."
    default_code = "length_required"


def authorize_upload(request: HttpRequest) -> HttpResponse:
    """204, or the refusal of the upload that nginx describes in `X-Original-…` headers."""
    try:
        match = resolve(unquote(request.headers.get("X-Original-URI", "/").partition("?")[0]))
    except Resolver404:
        return _refusal(404, {"detail": "Not found."})
    view_class: Any = getattr(match.func, "cls", object)
    if issubclass(view_class, APIView):
        return _authorize_by_view(view_class, request, match)
    # A page. Only the login form is sent without a session; it is too small for a preflight.
    if not request.user.is_authenticated:
        return _refusal(403, {"detail": "Log in first."})
    return HttpResponse(status=204)


def _authorize_by_view(
    view_class: type[APIView], request: HttpRequest, match: ResolverMatch
) -> HttpResponse:
    view = view_class()
    view.setup(request, *match.args, **match.kwargs)
    # Authenticated as the GET that nginx sends: a session's CSRF token may be in the form, which
    # is not here. The view checks it.
    view.request = view.initialize_request(request, *match.args, **match.kwargs)
    view.headers = view.default_response_headers
    try:
        view.perform_authentication(view.request)
        view.request = clone_request(view.request, request.headers.get("X-Original-Method", "POST"))
        view.check_permissions(view.request)
        _check_upload(view, view.request)
    except Exception as error:
        answer = view.handle_exception(error)
        passed = {name: answer[name] for name in _PASSED_ON if name in answer}
        return _refusal(answer.status_code, answer.data, passed)
    return HttpResponse(status=204)


def _check_upload(view: APIView, request: Request) -> None:
    """Compare the length with the view's bound and the rates, which are not counted here."""
    length = request.headers.get("X-Original-Length", "")
    own_limit: int | None = getattr(view, "max_body_bytes", None)
    if own_limit is not None and not length.isdecimal():
        raise LengthRequired
    size_bytes = int(length) if length.isdecimal() else 0
    limit = settings.FACES_MAX_UPLOAD_BYTES + FORM_BYTES if own_limit is None else own_limit
    if size_bytes > limit:
        raise TooLarge("The upload is too large.")
    for rate in view.get_throttles():
        if isinstance(rate, throttling.Rate) and rate.is_exceeded(request, size_bytes=size_bytes):
            raise Throttled(wait=rate.wait())
    if isinstance(request.auth, Caller) and request.method == "POST":
        erasing = Client.objects.filter(pk=request.auth.client_id, erasing_since__isnull=False)
        if erasing.exists():
            raise Unavailable(BEING_ERASED)


def _refusal(status: int, body: Any, headers: dict[str, str] | None = None) -> HttpResponse:
    # As ASCII, because a header cannot hold anything else.
    return HttpResponse(status=status, headers={**(headers or {}), REFUSAL: json.dumps(body)})
