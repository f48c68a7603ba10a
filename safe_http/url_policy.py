"""What a URL asks us to connect to: read once and strictly, so that no two readers can differ.

Differences between readers of URLs are the classic way round such checks: what is odd is refused
rather than interpreted. In particular IPv4 addresses are taken in one notation only.
"""

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final
from urllib.parse import SplitResult, quote, urljoin, urlsplit

import idna
from django.conf import settings

from . import addresses
from .errors import DownloadError

_MAX_URL_CHARS: Final = 4096
_MAX_NAME_CHARS: Final = 253  # RFC 1035, 2.3.4, without the full stop at the end
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_PORTS: Final = frozenset((80, 443, 8080, 8443))
"""Where web servers listen. Elsewhere something else may, that makes sense of what we send."""

# Controls and spaces are stripped by some readers of URLs, and `\` is taken for `/` by browsers.
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
class Target:
    """A URL, read and checked as far as that goes without looking its name up."""

    scheme: str
    host: str
    """In lower case and ASCII, an IPv6 address without brackets."""
    port: int
    resource: str
    """Path and query, percent-encoded."""
    address: addresses.Address | None
    """Set where `host` is an address."""
    listed: bool
    """Whether the host is on the allow-list."""

    @property
    def authority(self) -> str:
        """As in the header Host."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.authority}{self.resource}"


def parse(url: str) -> Target:
    """The target of an absolute URL; DownloadError where it is not one that may be fetched."""
    parts = _split(url)
    if parts.scheme not in _DEFAULT_PORTS:
        raise DownloadError("Only http:// and https:// URLs can be fetched.", permanent=True)
    if "@" in parts.netloc:
        raise DownloadError("A URL with a user name or password is not fetched.", permanent=True)
    authority = _AUTHORITY.fullmatch(parts.netloc)
    if authority is None:
        raise _unreadable()
    bracketed, name, port_text = authority.groups()
    host, address = _ipv6(bracketed) if bracketed else _name_or_ipv4(name)
    port = int(port_text) if port_text else _DEFAULT_PORTS[parts.scheme]
    listed = any(
        _matches(entry, host, port, is_name=address is None)
        for entry in settings.FACES_DOWNLOAD_ALLOWED_HOSTS
    )
    _check(host, port, address, listed=listed)
    return Target(parts.scheme, host, port, _resource(parts), address, listed)


def follow(target: Target, location: bytes) -> Target:
    """Where a redirect leads, by the same rules."""
    try:
        redirected = parse(urljoin(target.url, location.decode()))
    except ValueError:
        raise _unreadable() from None
    if target.scheme == "https" and redirected.scheme == "http":
        message = f"{target.host} redirects from https to http, which is not followed."
        raise DownloadError(message, permanent=True)
    return redirected


def _unreadable() -> DownloadError:
    return DownloadError("This is not a URL that can be fetched.", permanent=True)


def _split(url: str) -> SplitResult:
    if len(url) > _MAX_URL_CHARS:
        raise DownloadError(f"URLs may have {_MAX_URL_CHARS} characters.", permanent=True)
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
    """`host`, `host:port`, or `.suffix` for a domain and all below it; IPv6 in brackets."""
    name, _, wanted = entry.rpartition(":") if re.search(r":[0-9]+$", entry) else (entry, "", "")
    if wanted and int(wanted) != port:
        return False
    if name.startswith("."):
        return is_name and f".{host}".endswith(name)
    return host == name.strip("[]")


def _check(host: str, port: int, address: addresses.Address | None, *, listed: bool) -> None:
    if address is not None and not addresses.may_connect(address, listed=listed):
        raise DownloadError(f"{host} is not a public address.", permanent=True)
    if address is None and not listed and ("." not in host or host.endswith(_NOT_PUBLIC_NAMES)):
        raise DownloadError(f"{host} is not a public name.", permanent=True)
    if not 1 <= port <= 65535 or not (listed or port in _PORTS):
        ports = ", ".join(map(str, sorted(_PORTS)))
        raise DownloadError(f"Port {port} is not fetched from, only {ports}.", permanent=True)
