"""Limits of the forms that take a password or code: failed attempts for each address and each name.

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

from backend.clients.limits.login_rate import LoginRate

COOKIE: Final = "faces_known_browser"
_SALT: Final = "backend.clients.known_browser"
_LIFETIME_S: Final = 180 * 86_400
_MAX_NAMES: Final = 5
"""Names that one browser is remembered for, the newest."""
_CODES: Final = (5, 300)
"""Wrong codes of a second factor, and in how many seconds."""


class FailedAttempts(LoginRate):
    """Failures of the name in the form, or of `name`."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__()
        self._name = name

    def username(self, request: Request) -> str:
        return super().username(request) if self._name is None else self._name

    def keys(self, request: Request) -> Iterator[str]:
        known = _known(request)
        if self.name_key(request) in known["names"]:
            yield f"browser={known['browser']}"
        else:
            yield from super().keys(request)


class FailedCodes(FailedAttempts):
    """Of a second factor, whose codes have six digits: as many as allauth allows by itself."""

    name = "codes"

    def limit(self) -> int | None:
        if super().limit() is None:
            return None
        limit, self.window_s = _CODES
        return limit


def attempt(
    request: HttpRequest,
    log_in: Callable[[], HttpResponse],
    refuse: Callable[[float], HttpResponse],
    rate: FailedAttempts | None = None,
) -> HttpResponse:
    """The response of `log_in`, which redirects on success; `refuse(wait_s)` past the limit.

    Counted before the attempt, so that attempts at the same time are no more than others; only
    failures stay counted.
    """
    rate = rate or FailedAttempts()
    asked: Any = request
    if not rate.begin(asked):
        return refuse(rate.wait())
    has_succeeded = False
    try:
        response = log_in()
        has_succeeded = response.status_code == 302
    finally:
        rate.end(has_succeeded=has_succeeded)
    return response


def remember(request: HttpRequest, response: HttpResponse, username: str) -> None:
    """Let the browser be known as one that has logged in by that name."""
    known, name = _known(request), FailedAttempts(username).name_key(request)  # type: ignore[arg-type]  # not asked
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


def _known(request: Any) -> dict[str, Any]:
    """The contents of the cookie; a new browser's without a valid one."""
    try:
        cookie = request.COOKIES.get(COOKIE, "")
        known: dict[str, Any] = signing.loads(cookie, salt=_SALT, max_age=_LIFETIME_S)
    except signing.BadSignature:
        return {"browser": secrets.token_urlsafe(12), "names": []}
    return known
