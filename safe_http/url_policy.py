"""URL policy: a URL is parsed once and strictly, so that no second parser can read another host.

Differences between URL parsers are the classic way round such checks: odd URLs are refused rather
than interpreted. In particular IPv4 addresses are accepted in one notation only.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final, Self
from urllib.parse import SplitResult, quote, urljoin, urlsplit

import idna

from . import ip_policy
from .errors import FetchError

_MAX_URL_CHARS: Final = 4096
_MAX_NAME_CHARS: Final = 253  # RFC 1035, 2.3.4, without the full stop at the end
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_PORTS: Final = frozenset((80, 443, 8080, 8443))
"""Ports of web servers. At others a server of another protocol may obey what we send."""

# Some parsers strip control characters and spaces, and browsers take `\` for `/`.
_NEVER_IN_URL: Final = re.compile(r"[\x00-\x20\x7f\\]")
# A zone (`%eth0`, RFC 6874) and percent-encoding have no place in the host of an image.
_AUTHORITY: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:@%]+))(?::([0-9]{0,5}))?")
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
# The test of the URL standard (whatwg.org, "ends in a number"): such a host is an IPv4 address.
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PATH_SAFE: Final = "/%:@!$&'()*+,;=~-._?[]|"

# RFC 6761, 6762 (local), 7686 (onion), 8375 (home.arpa), 9476 (alt); ICANN's internal (2024); and
# what routers and companies used before it. Refused early: the answers would be refused as well.
_NOT_PUBLIC_NAMES: Final = (
    *(".alt", ".example", ".home.arpa", ".internal", ".invalid", ".local", ".localhost"),
    *(".onion", ".test", ".corp", ".home", ".intranet", ".lan", ".localdomain", ".private"),
)


@dataclass(frozen=True)
class Policy:
    """The hosts that requests may reach beside public addresses. The default: none."""

    private_hosts: Sequence[str] = ()
    """Hosts that may be private and at any port: `host`, `host:port`, or `.suffix` for a domain
    and all below it, in lower case; IPv6 in brackets."""
    allow_private: bool = False
    """Every host may be, unless a public server redirects to it."""
    forbidden: str = ""
    """`host:port` that is never connected to, under any of its names."""

    def of_strangers(self) -> Self:
        """The policy for a URL that a public server chose."""
        return replace(self, allow_private=False)

    def allows_private(self, host: str, port: int, *, is_name: bool) -> bool:
        """Whether `host` may be at a private address and at any port."""
        return self.allow_private or any(
            _matches(entry, host, port, is_name=is_name) for entry in self.private_hosts
        )


@dataclass(frozen=True)
class Target:
    """A URL, parsed and checked as far as possible without resolving its name."""

    scheme: str
    host: str
    """In lower case and ASCII, an IPv6 address without brackets."""
    port: int
    resource: str
    """Path and query, percent-encoded."""
    address: ip_policy.Address | None
    """Set where `host` is an address."""
    allow_private: bool
    """Whether the policy lets the host be at a private address."""

    @property
    def authority(self) -> str:
        """As in the header Host."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.authority}{self.resource}"


def parse(url: str, policy: Policy) -> Target:
    """The target of an absolute URL; FetchError if `policy` does not allow it."""
    parts = _split(url)
    if parts.scheme not in _DEFAULT_PORTS:
        raise FetchError("Only http:// and https:// URLs can be fetched.", permanent=True)
    if "@" in parts.netloc:
        raise FetchError("A URL with a user name or password is not fetched.", permanent=True)
    authority = _AUTHORITY.fullmatch(parts.netloc)
    if authority is None:
        raise _unreadable()
    bracketed, name, port_text = authority.groups()
    host, address = _ipv6(bracketed) if bracketed else _name_or_ipv4(name)
    port = int(port_text) if port_text else _DEFAULT_PORTS[parts.scheme]
    allow_private = policy.allows_private(host, port, is_name=address is None)
    _check(host, port, address, allow_private=allow_private)
    return Target(parts.scheme, host, port, _resource(parts), address, allow_private)


def follow(target: Target, location: bytes, policy: Policy) -> Target:
    """The target of a redirect, by the same rules."""
    try:
        redirected = parse(urljoin(target.url, location.decode()), policy)
    except ValueError:
        raise _unreadable() from None
    if target.scheme == "https" and redirected.scheme == "http":
        message = f"{target.host} redirects from https to http, which is not followed."
        raise FetchError(message, permanent=True)
    return redirected


def _unreadable() -> FetchError:
    return FetchError("This is not a URL that can be fetched.", permanent=True)


def _split(url: str) -> SplitResult:
    if len(url) > _MAX_URL_CHARS:
        raise FetchError(f"URLs may have {_MAX_URL_CHARS} characters.", permanent=True)
    if _NEVER_IN_URL.search(url):
        raise _unreadable()
    try:
        url.encode()  # half of a surrogate pair, as JSON can hold
        return urlsplit(url)
    except ValueError:
        raise _unreadable() from None


def _resource(parts: SplitResult) -> str:
    path = quote(parts.path or "/", safe=_PATH_SAFE)
    return f"{path}?{quote(parts.query, safe=_PATH_SAFE)}" if parts.query else path


def _ipv6(text: str) -> tuple[str, IPv6Address]:
    try:
        address = IPv6Address(text)
    except AddressValueError:
        raise _unreadable() from None
    return str(address), address


def _name_or_ipv4(text: str) -> tuple[str, IPv4Address | None]:
    host = _ascii(text).removesuffix(".")  # a full stop at the end is the root of all names
    labels = host.split(".")
    if len(host) > _MAX_NAME_CHARS or not all(_LABEL.fullmatch(label) for label in labels):
        raise _unreadable()
    if not _NUMBER.fullmatch(labels[-1]):
        return host, None
    try:
        # Refuses what inet_aton takes: 2130706433, 0x7f.1, 0177.0.0.1, 127.1.
        return host, IPv4Address(host)
    except AddressValueError:
        raise _unreadable() from None


def _ascii(host: str) -> str:
    """`host` as it is looked up; digits, letters and full stops of other widths become plain."""
    if host.isascii():
        return host.lower()
    if len(host) > _MAX_NAME_CHARS:
        raise _unreadable()
    try:
        return idna.encode(host, uts46=True).decode("ascii")
    except UnicodeError:
        raise _unreadable() from None


def _matches(entry: str, host: str, port: int, *, is_name: bool) -> bool:
    """Whether `entry` of `Policy.private_hosts` names the host at this port."""
    name, _, wanted = entry.rpartition(":") if re.search(r":[0-9]+$", entry) else (entry, "", "")
    if wanted and int(wanted) != port:
        return False
    if name.startswith("."):
        return is_name and f".{host}".endswith(name)
    return host == name.strip("[]")


def _check(host: str, port: int, address: ip_policy.Address | None, *, allow_private: bool) -> None:
    if address is not None and not ip_policy.may_connect(address, allow_private=allow_private):
        raise FetchError(f"{host} is not a public address.", permanent=True)
    is_public_name = "." in host and not host.endswith(_NOT_PUBLIC_NAMES)
    if address is None and not (allow_private or is_public_name):
        raise FetchError(f"{host} is not a public name.", permanent=True)
    if not 1 <= port <= 65535 or not (allow_private or port in _PORTS):
        ports = ", ".join(map(str, sorted(_PORTS)))
        raise FetchError(f"Port {port} is not fetched from, only {ports}.", permanent=True)
