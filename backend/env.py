"""Typed reading of the environment: every helper refuses nonsense with the setting's name.

Settings are read in `backend/settings.py`, one a line, and nowhere else in the Django project.
"""

import os
import re
from ipaddress import AddressValueError, IPv6Address
from pathlib import Path
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

from backend import databases
from wire import environment

try:
    environment.load()
except environment.SettingsFileError as error:
    raise ImproperlyConfigured(str(error)) from error

_env = environ.Env()


def text(name: str, *, choices: tuple[str, ...] = ()) -> str:
    """The setting as it is, one of `choices` if any are given."""
    value: str = _env.str(name)
    if choices and value not in choices:
        raise ImproperlyConfigured(f"{name} is {value!r}: it must be one of {', '.join(choices)}")
    return value


def words(name: str, *, choices: tuple[str, ...] = ()) -> list[str]:
    """A list separated by commas, each of `choices` if any are given; empty items do not count."""
    found = [word.strip() for word in text(name).split(",") if word.strip()]
    if choices and (not found or not set(found) <= set(choices)):
        raise ImproperlyConfigured(f"{name} is {text(name)!r}: list some of {', '.join(choices)}")
    return found


def flag(name: str) -> bool:
    """`true` or `false` (also 1/0, yes/no, on/off, in any case)."""
    value = text(name).lower()
    if value in ("1", "true", "yes", "on"):
        return True
    if value in ("", "0", "false", "no", "off"):
        return False
    raise ImproperlyConfigured(f"{name} is {value!r}: it must be true or false")


def number(name: str, *, at_least: int = 0) -> int:
    """A whole number, not below `at_least`."""
    try:
        value = int(text(name))
    except ValueError:
        raise ImproperlyConfigured(f"{name} is {text(name)!r}: it must be a whole number") from None
    if value < at_least:
        raise ImproperlyConfigured(f"{name} is {value}: it must be at least {at_least}")
    return value


def real(name: str, *, above: float = 0.0) -> float:
    """A finite decimal number greater than `above`."""
    try:
        value = float(text(name))
    except ValueError:
        raise ImproperlyConfigured(f"{name} is {text(name)!r}: it must be a number") from None
    if not above < value < float("inf"):
        raise ImproperlyConfigured(f"{name} is {value}: it must be greater than {above}")
    return value


def url(name: str, *, schemes: tuple[str, ...], default: str = "") -> str:
    """An absolute URL of one of `schemes`, without a slash at its end; empty means `default`."""
    value = text(name).rstrip("/") or default
    parts = urlsplit(value)
    if parts.scheme not in schemes or not (parts.netloc or parts.scheme == "unix"):
        forms = " or ".join(f"{scheme}://…" for scheme in schemes)
        raise ImproperlyConfigured(f"{name} is {value!r}: it must be an address like {forms}")
    return value


def postgresql(name: str) -> str:
    """`postgres://user:password@host:port/database`, or empty."""
    value = text(name)
    if value and not databases.is_postgresql(value):
        # Never the value: it holds a password.
        raise ImproperlyConfigured(f"{name} is no address like {databases.FORM}")
    return value


def hosts(name: str) -> list[str]:
    """A list of `host`, `host:port` or `.suffix`, in lower case, IPv6 addresses in brackets."""
    return [_host(name, word.lower()) for word in words(name)]


def _host(name: str, word: str) -> str:
    match = re.fullmatch(r"(\[[0-9a-f:.]+\]|\.?[a-z0-9_][a-z0-9_.-]*?)\.?((?::[0-9]{1,5})?)", word)
    if match is None:
        form = "host, host:port or .suffix, without http:// or *"
        raise ImproperlyConfigured(f"{name} has the item {word!r}: it must be {form}")
    host, port = match.groups()
    if host.startswith("["):
        try:
            host = f"[{IPv6Address(host[1:-1])}]"  # spelled as addresses are compared
        except AddressValueError as error:
            raise ImproperlyConfigured(f"{name} has the item {word!r}: {error}") from None
    return host + port


def folder(name: str, *, default: Path) -> Path:
    """An absolute folder; empty means `default`. A leading `~` is the user's home."""
    value = text(name)
    return Path(os.path.expanduser(value)).absolute() if value else default


def rate(name: str) -> tuple[int, int] | None:
    """`"600/minute"` → (600, 60): so many in so many seconds. Empty means no limit."""
    value = text(name)
    if not value:
        return None
    count, _, period = value.partition("/")
    seconds = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}.get(period)
    if seconds is None or not count.isdecimal() or int(count) == 0:
        raise ImproperlyConfigured(
            f"{name} is {value!r}: it must be like 600/minute (second, minute, hour or day)"
        )
    return int(count), seconds
