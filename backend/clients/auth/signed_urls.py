"""Addresses that open one image for a while, whoever has them."""

import base64
import hashlib
import hmac
import time
from collections.abc import Mapping
from functools import lru_cache

from django.conf import settings
from django.utils.crypto import constant_time_compare

_SALT = "backend.clients.auth.signed_urls"
_ROUNDED_TO_S = 3600


def signed(path: str, *, lifetime_s: int | None = None, base: str = "") -> str:
    """`path` with its expiry and signature, absolute at `SERVICE_URL`, or at `base`.

    The expiry is rounded up to the hour, so that the same image has the same address for an hour
    and caches can keep it.
    """
    ends = time.time() + (lifetime_s or settings.FACES_URL_LIFETIME_S)
    expires = int(-(-ends // _ROUNDED_TO_S) * _ROUNDED_TO_S)
    query = f"expires={expires}&signature={_signature(path, str(expires))}"
    return f"{base or settings.SERVICE_URL}{path}?{query}"


def is_signed(query: Mapping[str, str]) -> bool:
    """Whether the caller holds such an address, good or not."""
    return "signature" in query or "expires" in query


def opens(path: str, query: Mapping[str, str]) -> bool:
    """Whether the signature is ours, for this very path, and its time has not passed."""
    expires, signature = query.get("expires", ""), query.get("signature", "")
    if not constant_time_compare(signature, _signature(path, expires)):
        return False
    return expires.isascii() and expires.isdecimal() and int(expires) >= time.time()


def _signature(path: str, expires: str) -> str:
    """As `django.core.signing.Signer`, which derives the key anew each time: a page has 200."""
    said = f"{path}\n{expires}".encode()
    digest = hmac.digest(_key(settings.SECRET_KEY), said, hashlib.sha256)
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


@lru_cache(maxsize=1)
def _key(secret: str) -> bytes:
    return hashlib.sha256(f"{_SALT}signer{secret}".encode()).digest()
