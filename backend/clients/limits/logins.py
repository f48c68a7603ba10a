"""Limits of the login forms: failed attempts for each address and each name.

A browser that has logged in before is recognised by a signed cookie. Its failures count for itself
alone, and those of others do not lock it out (OWASP's "device cookies" against guessing that locks
accounts).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from typing import Any, Final

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse
from rest_framework.request import Request

from backend.clients.limits.throttling import LoginRate

COOKIE: Final = "faces_known_browser"
_SALT: Final = "backend.clients.known_browser"
_LIFETIME_S: Final = 180 * 86_400
_MAX_NAMES: Final = 5
"""Names that one browser is remembered for, the newest."""


def attempt(
    request: HttpRequest,
    log_in: Callable[[], HttpResponse],
    refuse: Callable[[float], HttpResponse],
) -> HttpResponse:
    """The response of `log_in`, which redirects on success; `refuse(wait_s)` past the limit."""
    rate = _FailedAttempts()
    if not rate.count(request, failures=0):
        return refuse(rate.wait())
    response = log_in()
    if response.status_code == 302:
        _remember(request, response, rate)
    elif not rate.count(request, failures=1):
        return refuse(rate.wait())
    return response


class _FailedAttempts(LoginRate):
    """Counted after the attempt, so that good logins are free."""

    def __init__(self) -> None:
        self._failures = 0

    def cost(self, request: Request) -> int:
        return self._failures

    def keys(self, request: Request) -> Iterator[str]:
        known = _known(request)
        if self.name_key(request) in known["names"]:
            yield f"browser={known['browser']}"
        else:
            yield from super().keys(request)

    def count(self, request: Any, *, failures: int) -> bool:
        self._failures = failures
        return self.hit(request)


def _known(request: Any) -> dict[str, Any]:
    """The contents of the cookie; a new browser's without a valid one."""
    try:
        cookie = request.COOKIES.get(COOKIE, "")
        known: dict[str, Any] = signing.loads(cookie, salt=_SALT, max_age=_LIFETIME_S)
    except signing.BadSignature:
        return {"browser": secrets.token_urlsafe(12), "names": []}
    return known


def _remember(request: Any, response: HttpResponse, rate: LoginRate) -> None:
    known, name = _known(request), rate.name_key(request)
    known["names"] = [name, *(each for each in known["names"] if each != name)][:_MAX_NAMES]
    response.set_cookie(
        COOKIE,
        signing.dumps(known, salt=_SALT),
        max_age=_LIFETIME_S,
        path=settings.SESSION_COOKIE_PATH,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )
