"""Addresses that open one image for a while, whoever has them."""

import time
from collections.abc import Mapping
from urllib.parse import urlencode

from django.conf import settings
from django.core import signing
from django.utils.crypto import constant_time_compare

_SALT = "backend.clients.links"
_ROUNDED_TO_S = 3600


def signed(path: str, *, lifetime_s: int | None = None, base: str = "") -> str:
    """`path` with its expiry and signature, absolute at `SERVICE_URL`, or at `base`.

    The expiry is rounded up to the hour, so that the same image has the same address for an hour
    and caches can keep it.
    """
    ends = time.time() + (lifetime_s or settings.FACES_URL_LIFETIME_S)
    expires = int(-(-ends // _ROUNDED_TO_S) * _ROUNDED_TO_S)
    query = urlencode({"expires": expires, "signature": _signature(path, str(expires))})
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
    return signing.Signer(salt=_SALT).signature(f"{path}\n{expires}")
