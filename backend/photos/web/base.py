"""What all pages of members share: access, headers, rendering."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, Final, TypeVar

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse

from backend.clients.limits import throttling
from backend.common.http.security_headers import protect
from backend.photos.access import authentication
from backend.photos.access.permissions import can_manage_albums, can_manage_people

View = Callable[..., HttpResponseBase]
Response = TypeVar("Response", bound=HttpResponseBase)

TOO_OFTEN: Final = "You have sent too much in too short a time. Try again in a while."


def for_members(
    *methods: str, staff: Callable[[Any], bool] | None = None
) -> Callable[[View], View]:
    """A page for logged-in users, who also pass the `staff` test if one is given."""

    def wrapped(view: View) -> View:
        @wraps(view)
        def answer(request: HttpRequest, **named: Any) -> HttpResponseBase:
            if not request.user.is_authenticated:
                return redirect_to_login(request.get_full_path(), reverse("member-login"))
            throttling.count_for_member(request.user.pk)
            if request.method not in methods:
                return refused(request, "This page does not accept that method.", 405)
            try:
                if staff is not None and not staff(request.user):
                    raise PermissionDenied
                return view(request, **named)
            except PermissionDenied:
                return refused(request, "This is for staff.", 403)
            except Http404:
                return refused(request, "There is nothing here, or it is not for you.", 404)

        return answer

    return wrapped


def whole_number(text: str, *, digits: int) -> int | None:
    """The whole number of a form or query, of at most so many digits; None for any other text."""
    is_whole = text.isascii() and text.isdecimal() and len(text) <= digits
    return int(text) if is_whole else None


def refused(request: HttpRequest, why: str, status: int, *, wait_s: float = 0) -> HttpResponse:
    """A page with the reason of a refusal."""
    response = show(request, "photos/refused.html", {"why": why}, status)
    if wait_s:
        response["Retry-After"] = str(math.ceil(wait_s))
    return response


def show(
    request: HttpRequest, template: str, context: Mapping[str, Any], status: int = 200
) -> HttpResponse:
    """The rendered template, which no cache stores: it must not show after a logout."""
    everywhere = {
        "can_manage_albums": can_manage_albums(request.user),
        "can_manage_people": can_manage_people(request.user),
    }
    response = render(request, template, {**everywhere, **context}, status=status)
    return finished(request, response)


def finished(request: HttpRequest, response: Response) -> Response:
    protect(request, response)
    response["Cache-Control"] = "private, no-store"
    return response


def refusal_of_upload(request: HttpRequest) -> HttpResponse | None:
    """A 429 if the uploads of this request exceed a rate; else None."""
    for rate in (authentication.Uploads(), authentication.UploadBytes()):
        if not rate.hit(request):  # type: ignore[arg-type]  # asks for headers and the user alone
            return refused(request, TOO_OFTEN, 429, wait_s=rate.wait())
    return None


def back(request: HttpRequest, otherwise: str) -> HttpResponse:
    """Redirect to the page of the form if it is one of ours, else to `otherwise`."""
    wanted = request.POST.get("next", "")
    # `//host` and `/\host` would lead to another site.
    pages = f"{settings.FACES_BASE_PATH}/members/"
    is_ours = wanted.startswith(pages) and "\\" not in wanted and "\n" not in wanted
    return redirect(wanted if is_ours else otherwise)
