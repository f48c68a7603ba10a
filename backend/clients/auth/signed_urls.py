"""Signed URLs: each gives its bearer one image, until it expires."""

import base64
import hashlib
import hmac
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from django.conf import settings
from django.utils.crypto import constant_time_compare

LIFETIME_S: Final = 86_400
_ROUNDED_TO_S: Final = 3600
# No module's name: another value would invalidate all links.
_SALT: Final = "backend.clients.links"


def signed(path: str, *, lifetime_s: int = LIFETIME_S, base: str = "") -> str:
    """`path` with its expiry and signature, absolute at `SERVICE_URL`, or at `base`.

    The expiry is rounded up to the hour, so that an image keeps its URL for an hour and can be
    cached.
    """
    ends = time.time() + lifetime_s
    expires = int(-(-ends // _ROUNDED_TO_S) * _ROUNDED_TO_S)
    query = f"expires={expires}&signature={_signature(path, str(expires))}"
    return f"{base or settings.SERVICE_URL}{path}?{query}"


def is_signed(query: Mapping[str, str]) -> bool:
    """Whether the query has a signature, valid or not."""
    return "signature" in query or "expires" in query


def verify(path: str, query: Mapping[str, str]) -> bool:
    """Whether the signature is ours, for this path, and has not expired."""
    expires, signature = query.get("expires", ""), query.get("signature", "")
    if not constant_time_compare(signature, _signature(path, expires)):
        return False
    return expires.isascii() and expires.isdecimal() and int(expires) >= time.time()


def _signature(path: str, expires: str) -> str:
    """As `django.core.signing.Signer`, which derives the key each time: a page has 200 links."""
    message = f"{path}\n{expires}".encode()
    digest = hmac.digest(_key(settings.SECRET_KEY), message, hashlib.sha256)
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


@lru_cache(maxsize=1)
def _key(secret: str) -> bytes:
    return hashlib.sha256(f"{_SALT}signer{secret}".encode()).digest()
