"""Signed URLs: each gives its bearer one image, until it expires."""

import time
from collections.abc import Mapping

from django.conf import settings
from django.utils.crypto import constant_time_compare

from backend.common.http.service_url import service_url, without_base_path
from wire import signed_links
from wire.signed_links import LIFETIME_S


def signed(path: str, *, lifetime_s: int = LIFETIME_S, base: str = "") -> str:
    """`path` with its expiry and signature, absolute at the service's URL, or at `base`."""
    path = without_base_path(path)
    query = signed_links.query(_key(), path, now=time.time(), lifetime_s=lifetime_s)
    return f"{base or service_url()}{path}?{query}"


def seal(path: str, *, owner: str, url: str) -> str:
    """The proof that `url` is an address of `owner`'s, to be signed for `path` when it is sent."""
    return signed_links.seal(_key(), owner=owner, url=url, path=path)


def is_signed(query: Mapping[str, str]) -> bool:
    """Whether the query has a signature, valid or not."""
    return "signature" in query or "expires" in query


def verify(path: str, query: Mapping[str, str]) -> bool:
    """Whether the signature is ours, for this path, and has not expired."""
    expires, signature = query.get("expires", ""), query.get("signature", "")
    if not constant_time_compare(signature, signed_links.signature(_key(), path, expires)):
        return False
    return expires.isascii() and expires.isdecimal() and int(expires) >= time.time()


def _key() -> bytes:
    return signed_links.signing_key(settings.SECRET_KEY)
