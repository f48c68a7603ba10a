"""Typed settings: every method refuses a value that makes no sense, with the setting's name."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Network, IPv6Address, IPv6Network, ip_network
from pathlib import Path
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from wire.origins import ANY, parse_origin

Network: TypeAlias = IPv4Network | IPv6Network

_TRUE: Final = ("1", "true", "yes", "on")
_FALSE: Final = ("", "0", "false", "no", "off")
_SECONDS: Final = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}


class SettingError(Exception):
    """A setting that cannot be used; says which and why."""


@dataclass(frozen=True)
class Reader:
    """Reads settings from `environ`, and raises `error` for the first that cannot be used."""

    environ: Mapping[str, str]
    error: type[Exception] = SettingError

    def text(self, name: str, *, choices: tuple[str, ...] = ()) -> str:
        """The setting as it is, one of `choices` if any are given."""
        if name not in self.environ:
            raise self.error(f"{name} is not set, and default.env does not name it")
        value = self.environ[name].strip()
        if choices and value not in choices:
            raise self.error(f"{name} must be one of {', '.join(choices)}, not {value!r}")
        return value

    def words(self, name: str, *, choices: tuple[str, ...] = ()) -> list[str]:
        """A list separated by commas, some of `choices` if any are given; empty items drop out."""
        found = [word.strip() for word in self.text(name).split(",") if word.strip()]
        if choices and (not found or not set(found) <= set(choices)):
            raise self.error(
                f"{name} must be some of {', '.join(choices)}, not {self.text(name)!r}"
            )
        return found

    def flag(self, name: str) -> bool:
        """`true` or `false` (also 1/0, yes/no, on/off, in any case; empty is false)."""
        value = self.text(name).lower()
        if value not in _TRUE + _FALSE:
            raise self.error(f"{name} must be true or false, not {value!r}")
        return value in _TRUE

    def number(self, name: str, *, at_least: int = 0, at_most: int = 10**18 - 1) -> int:
        """A whole number, not below `at_least` and not above `at_most`."""
        text = self.text(name)
        is_whole = text.isascii() and text.isdecimal() and len(text) <= 18
        if not (is_whole and at_least <= int(text) <= at_most):
            bound = "up" if at_most == 10**18 - 1 else f"to {at_most}"
            raise self.error(f"{name} must be a whole number from {at_least} {bound}, not {text!r}")
        return int(text)

    def real(self, name: str, *, above: float = 0.0) -> float:
        """A finite decimal number greater than `above`."""
        text = self.text(name)
        try:
            value = float(text)
        except ValueError:
            value = above
        if not above < value < float("inf"):
            raise self.error(f"{name} must be a number greater than {above:g}, not {text!r}")
        return value

    def url(self, name: str, *, schemes: tuple[str, ...], default: str = "") -> str:
        """An absolute URL of one of `schemes`, without a final slash; empty means `default`."""
        value = self.text(name).rstrip("/") or default
        parts = urlsplit(value)
        if parts.scheme not in schemes or not (parts.netloc or parts.scheme == "unix"):
            forms = " or ".join(f"{scheme}://…" for scheme in schemes)
            raise self.error(f"{name} must be an address like {forms}, not {value!r}")
        return value

    def hosts(self, name: str) -> list[str]:
        """A list of `host`, `host:port` or `.suffix`, in lower case, IPv6 addresses in brackets."""
        return [self._host(name, word.lower()) for word in self.words(name)]

    def _host(self, name: str, word: str) -> str:
        pattern = r"(\[[0-9a-f:.]+\]|\.?[a-z0-9_][a-z0-9_.-]*?)\.?((?::[0-9]{1,5})?)"
        match = re.fullmatch(pattern, word)
        if match is None:
            form = "host, host:port or .suffix, without http:// or *"
            raise self.error(f"{name} must list {form}, not {word!r}")
        host, port = match.groups()
        if host.startswith("["):
            try:
                host = f"[{IPv6Address(host[1:-1])}]"  # spelled as addresses are compared
            except AddressValueError as error:
                raise self.error(f"{name} must list addresses: {error}") from None
        return host + port

    def origins(self, name: str) -> list[str]:
        """A list of origins of web pages, `https://host` or with a port; `*` is any."""
        try:
            return [word if word == ANY else parse_origin(word) for word in self.words(name)]
        except ValueError as error:
            raise self.error(f"{name}: {error}") from None

    def networks(self, name: str) -> list[Network]:
        """A list of addresses and networks, separated by commas; `none` or empty: no network."""
        words = [] if self.text(name) == "none" else self.words(name)
        try:
            return [ip_network(word.replace("[", "").replace("]", "")) for word in words]
        except ValueError as error:
            raise self.error(f"{name} must list addresses or networks: {error}") from None

    def folder(self, name: str, *, default: Path) -> Path:
        """An absolute folder; empty means `default`. A leading `~` is the user's home."""
        value = self.text(name)
        return Path(os.path.expanduser(value)).absolute() if value else default

    def rate(self, name: str) -> tuple[int, int] | None:
        """`"600/minute"` → (600, 60): requests in seconds. Empty means no limit."""
        value = self.text(name)
        if not value:
            return None
        count, _, period = value.partition("/")
        if period not in _SECONDS or not count.isdecimal() or int(count) == 0:
            form = "like 600/minute (second, minute, hour or day)"
            raise self.error(f"{name} must be {form}, not {value!r}")
        return int(count), _SECONDS[period]
