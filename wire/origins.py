"""Which hosts the service answers to, and which web pages may use it without a key.

The backend and the websocket server decide alike. Host names follow Django's ALLOWED_HOSTS, origins
RFC 6454.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

ANY: Final = "*"

_ORIGIN: Final = re.compile(
    r"([a-z][a-z0-9+.-]*)://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::([0-9]{1,5}))?"
)
_HOST: Final = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?")
_DEFAULT_PORTS: Final = {"http": "80", "https": "443", "ws": "80", "wss": "443"}


def parse_origin(text: str) -> str:
    """An origin as browsers send it: in lower case, without a default port. Raises `ValueError`."""
    match = _ORIGIN.fullmatch(text.strip().lower().removesuffix("/"))
    if match is None:
        raise ValueError(f"{text!r} is no origin like https://app.example")
    scheme, host, port = match.groups()
    return f"{scheme}://{host}" + (
        f":{port}" if port and port != _DEFAULT_PORTS.get(scheme) else ""
    )


def is_allowed_host(header: str, allowed: Iterable[str]) -> bool:
    """Whether a Host header names one of `allowed`: names, `.domain` with all below it, or `*`."""
    match = _HOST.fullmatch(header.strip().lower())
    if match is None:
        return False
    name = match[1].removesuffix(".")
    return any(_names(pattern.lower(), name) for pattern in allowed)


def _names(pattern: str, name: str) -> bool:
    if pattern.startswith("."):
        return name.endswith(pattern) or name == pattern[1:]
    return pattern in (ANY, name)


@dataclass(frozen=True)
class OriginPolicy:
    """The origins of web pages that may use the service without a key, besides its own pages."""

    allowed: frozenset[str] = frozenset()

    def permits(self, origin: str, *, host: str) -> bool:
        """Whether a page of `origin` may; `host` is the request's Host. `null` never may.

        The scheme is not compared with the request's: a proxy may end TLS without saying so.
        """
        if ANY in self.allowed:
            return True
        try:
            page = parse_origin(origin)
        except ValueError:
            return False
        scheme, _, address = page.partition("://")
        return page in self.allowed or address == _without_default_port(host, scheme)


def _without_default_port(host: str, scheme: str) -> str:
    return host.strip().lower().removesuffix(f":{_DEFAULT_PORTS.get(scheme, '')}")
