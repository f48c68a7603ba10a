"""The feed token of a handshake: of the query, or of a header."""

import re
from dataclasses import dataclass
from typing import Final

from websockets.datastructures import Headers

from wire import feeds

KEY_NOT_TAKEN: Final = "an API key is not taken here: connect to the feed_url of GET /client/"
_MAX_REASON_BYTES: Final = 123
"""Of a close frame (RFC 6455, 5.5)."""

_TOKEN: Final = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)
"""A JSON Web Token; an API key has one dot."""

_OF_PROXIES: Final = ("basic", "digest", "negotiate", "ntlm")
"""Schemes of logins at a proxy in front, which browsers repeat here."""


@dataclass(frozen=True)
class Credentials:
    """`token` is to be verified; `refusal` is the reason for the client, where there is none."""

    token: str | None = None
    refusal: str = ""


def find(headers: Headers, *, in_query: str | None) -> Credentials:
    """The credentials of a handshake. nginx has exchanged an API key for one of its two headers."""
    if in_query is not None:
        return Credentials(in_query)
    if token := headers.get(feeds.TOKEN_HEADER):
        return Credentials(token)
    scheme, _, sent = headers.get("Authorization", "").partition(" ")
    if _TOKEN.fullmatch(sent.strip()) and scheme.lower() == "bearer":
        return Credentials(sent.strip())
    if refusal := headers.get(feeds.REFUSAL_HEADER):
        return Credentials(refusal=refusal.encode()[:_MAX_REASON_BYTES].decode(errors="ignore"))
    if "X-Api-Key" in headers or (scheme and scheme.lower() not in _OF_PROXIES):
        return Credentials(refusal=KEY_NOT_TAKEN)
    return Credentials()
