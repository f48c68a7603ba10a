"""HTTP Basic for scripts: refused from foreign pages, and a good password verified once in minutes.

A browser that was once asked for a password sends it with every request, also those that pages of
other sites cause; CSRF tokens do not guard it. And a password costs 0.5 s of processor time each
time that it is verified, which is what its hash is for.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections import OrderedDict
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth import get_user_model
from rest_framework.request import Request

FOREIGN: Final = "This request comes from a page of another site."

_REMEMBERED_S: Final = 300
_MAX_REMEMBERED: Final = 1000
_TURNS: Final = 64


def is_foreign(request: Request) -> bool:
    """Whether a page of another site caused the request. Programs say nothing, and are not.

    A link that a user follows is not foreign. Old browsers send Referer alone.
    """
    sent = request.META
    site = sent.get("HTTP_SEC_FETCH_SITE")
    page = sent.get("HTTP_ORIGIN") or (None if site else sent.get("HTTP_REFERER"))
    if page is not None and not _is_own(page, request.get_host()):
        return True
    followed = sent.get("HTTP_SEC_FETCH_MODE") == "navigate" and request.method in ("GET", "HEAD")
    return site in ("cross-site", "same-site") and not followed


def _is_own(page: str, host: str) -> bool:
    service = urlsplit(settings.SERVICE_URL)
    try:
        parts = urlsplit(page.lower())
    except ValueError:
        return False
    if not parts.netloc:  # "null", of a sandboxed page
        return False
    if parts.netloc == service.netloc.lower():
        # http://HOST is not https://HOST: anybody on the way may have made the page.
        return parts.scheme == service.scheme
    return parts.scheme in ("http", "https") and parts.netloc == host.lower()


class VerifiedPasswords:
    """Which passwords were verified against which hash, in this process, for `lifetime_s`.

    Neither is stored, only a digest of both with a key that this process alone has. A changed
    password has another hash; whether the user is active the caller asks each time.
    """

    def __init__(self, lifetime_s: float = _REMEMBERED_S, at_most: int = _MAX_REMEMBERED) -> None:
        self._lifetime_s, self._at_most = lifetime_s, at_most
        self._key = secrets.token_bytes(32)
        self._until: OrderedDict[bytes, float] = OrderedDict()
        self._lock = threading.Lock()
        self._turns = [threading.Lock() for _ in range(_TURNS)]

    def turn(self, username: str) -> threading.Lock:
        """A lock that verifications for one name share, so that the second finds the first's."""
        return self._turns[hash(username) % _TURNS]

    def add(self, user: Any, password: str) -> None:
        with self._lock:
            self._until[self._digest(user, password)] = time.monotonic() + self._lifetime_s
            while len(self._until) > self._at_most:
                self._until.popitem(last=False)

    def find(self, username: str, password: str) -> Any:
        """The active user of this name if this is the password; None if that is not known."""
        if "\x00" in username:  # PostgreSQL takes none
            return None
        model: Any = get_user_model()
        user = model.objects.filter(**{model.USERNAME_FIELD: username}, is_active=True).first()
        if user is None:
            return None
        with self._lock:
            until = self._until.get(self._digest(user, password), 0.0)
        return user if time.monotonic() < until else None

    def _digest(self, user: Any, password: str) -> bytes:
        # The hash says nothing of where it ends: its own length separates it from the password.
        parts = f"{user.pk} {len(user.password)} {user.password}{password}"
        return hmac.digest(self._key, parts.encode(errors="surrogatepass"), hashlib.sha256)
