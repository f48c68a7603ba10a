"""The second factor of a login: who has one, who needs one, and what is closed without it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlencode

from allauth.account.internal.flows.login import get_authentication_records, record_authentication
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect
from django.urls import reverse

_KINDS: Final = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)
"""Recovery codes stand in for one of these, and are none by themselves."""

_OPEN: Final = frozenset(
    {
        *("member-login", "member-logout", "account_login", "account_logout"),
        *("account_reauthenticate", "account_change_password", "account_set_password"),
        *("account_reset_password_from_key", "healthcheck", "readiness"),
        *("admin:login", "admin:logout", "admin:jsi18n"),
    }
)
"""URL names beside `mfa_…` that a member of staff reaches without the second factor."""

_ASKING: Final = frozenset(
    {"mfa_authenticate", "mfa_reauthenticate", "mfa_reauthenticate_webauthn"}
)
"""The pages that take the second factor, beside those that show, add or remove one."""


def is_set_up(user: Any) -> bool:
    return bool(Authenticator.objects.filter(user_id=user.pk, type__in=_KINDS).exists())


def is_required(user: Any) -> bool:
    return bool(settings.FACES_STAFF_SECOND_FACTOR and user.is_staff)


def password_is_enough(user: Any) -> bool:
    """Whether a password alone, as HTTP Basic sends it, may act as the user."""
    return not (is_required(user) or is_set_up(user))


def was_given(request: HttpRequest) -> bool:
    """Whether this session's user has given a second factor in it."""
    records = get_authentication_records(request, request.user)
    return any(record.get("method") == "mfa" for record in records)


def note_new(request: HttpRequest, user: Any, authenticator: Authenticator, **_: Any) -> None:
    """A factor that was just set up has been given: its code or key was checked for that."""
    if authenticator.type in _KINDS and request.user == user:
        record_authentication(
            request, user, method="mfa", id=authenticator.pk, type=authenticator.type
        )


class SecondFactorMiddleware:
    """Sessions without a second factor: those of its owner reach no page that changes it or shows
    its codes; with `FACES_STAFF_SECOND_FACTOR` those of staff reach nothing but the pages that set
    it up or ask for it.

    A session may be older than the second factor of its user.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Any, args: Any, named: Any
    ) -> HttpResponse | None:
        if not _is_closed(request) or was_given(request):
            return None
        if "text/html" not in request.META.get("HTTP_ACCEPT", ""):
            return JsonResponse({"detail": "A second factor is needed: log in."}, status=403)
        if not is_set_up(request.user):
            return redirect("mfa_index")
        asked = urlencode({"next": request.get_full_path()})
        return redirect(f"{reverse('mfa_reauthenticate')}?{asked}")


def _is_closed(request: HttpRequest) -> bool:
    """Whether the page needs the second factor of its user."""
    if settings.SESSION_COOKIE_NAME not in request.COOKIES or request.resolver_match is None:
        return False
    name = request.resolver_match.view_name
    if name in _OPEN or name in _ASKING:
        return False
    if name.startswith("mfa_"):
        return request.user.is_authenticated and is_set_up(request.user)
    return is_required(request.user)
