"""Signed links to stored images, and seals, by which an event carries none.

A link gives its bearer one image. Links in the event stream would give every image of every client
to each reader of Redis, so an entry carries a seal instead: the proof that the backend wrote this
address for this owner, which opens nothing. The websocket server signs the address of a valid seal
when it sends the event.
"""

import base64
import hashlib
import hmac
from functools import lru_cache
from typing import Final

LIFETIME_S: Final = 86_400
_ROUNDED_TO_S: Final = 3600
# No module's name: another value would invalidate all links.
_SALT: Final = "backend.clients.links"


@lru_cache(maxsize=4)
def signing_key(secret: str) -> bytes:
    """The key of links, from `DJANGO_SECRET_KEY`, as `django.core.signing.Signer` derives it."""
    return hashlib.sha256(f"{_SALT}signer{secret}".encode()).digest()


def query(key: bytes, path: str, *, now: float, lifetime_s: int = LIFETIME_S) -> str:
    """Expiry and signature of `path`, as the query of its URL.

    The expiry is rounded up to the hour, so that an image keeps its URL for an hour and can be
    cached.
    """
    expires = int(-(-(now + lifetime_s) // _ROUNDED_TO_S) * _ROUNDED_TO_S)
    return f"expires={expires}&signature={signature(key, path, str(expires))}"


def signature(key: bytes, path: str, expires: str) -> str:
    """What proves that a link to `path` until `expires` is ours."""
    return _encoded(hmac.digest(key, f"{path}\n{expires}".encode(), hashlib.sha256))


def seal(key: bytes, *, owner: str, url: str, path: str) -> str:
    """The field of an entry of `owner` whose `image_url` is `url`, to be signed for `path`."""
    return f"{_seal(key, owner, url, path)} {path}"


def opened(key: bytes, sealed: str, *, owner: str, url: str, now: float) -> str:
    """`url` as a signed link, if `sealed` is ours for this owner and URL; else `url` as it is."""
    found, _, path = sealed.partition(" ")
    if not hmac.compare_digest(found.encode(), _seal(key, owner, url, path).encode()):
        return url
    return f"{url}?{query(key, path, now=now)}"


def _seal(key: bytes, owner: str, url: str, path: str) -> str:
    # Another key than that of links: no seal is a signature.
    sealing_key = hmac.digest(key, b"seal of an event's link", hashlib.sha256)
    parts = "".join(f"{len(part)}:{part}" for part in (owner, url, path))
    return _encoded(hmac.digest(sealing_key, parts.encode(errors="surrogatepass"), hashlib.sha256))


def _encoded(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
