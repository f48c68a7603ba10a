"""What is to run, and where: the settings that the launcher needs, read and checked."""

import ipaddress
import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self, TypeAlias
from urllib.parse import unquote, urlsplit

from tools.console import UserError
from tools.shell import ROOT
from wire import service_address, sockets
from wire.settings import Reader

# nginx and supervisor have no way to write these in a file name.
_UNSPEAKABLE: Final = re.compile(r"[\"'\\${};#%\x00-\x1f]")
_FORM_BYTES: Final = 64 * 1024
_ALL_IPV6: Final = ipaddress.ip_address("::")

_FORMER_DEFAULT: Final = "redis://127.0.0.1:8283/0"
"""Of CACHE_BACKEND_URL: a `.env` that names it still means a Redis of our own."""

NGINX_SETTINGS: Final = (
    "FACES_ALLOWED_ORIGINS",
    "FACES_BASE_PATH",
    "SERVICE_URL",
    "FACES_MAX_UPLOAD_BYTES",
    "FACES_TRUSTED_PROXIES",
)
"""What nginx/settings.sh reads, here and in Docker."""


@dataclass(frozen=True)
class Address:
    """Where a process listens: an IP address or a name, and a port."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str, *, setting: str) -> Self:
        """From `HOST:PORT`, an IPv6 host in brackets."""
        host, colon, port = text.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not colon or not host or not port.isdecimal():
            raise UserError(f"{setting} is {text!r}; it should look like 127.0.0.1:8280.")
        return cls.of(host, port, setting=setting)

    @classmethod
    def of(cls, host: str, port: str, *, setting: str) -> Self:
        """From the two settings of a host and a port."""
        if not port.isdecimal() or not 0 < int(port) < 65536:
            raise UserError(f"{setting} is {port!r}; it should be a port, 1 to 65535.")
        if not re.fullmatch(r"[\w.:-]+", host):
            raise UserError(f"{setting} names the host {host!r}, which is no address.")
        return cls(host, int(port))

    @property
    def reached_at(self) -> Self:
        """The address for a client on this machine: listening on all addresses is no address."""
        loopback = {"0.0.0.0": "127.0.0.1", "::": "::1"}
        return type(self)(loopback.get(self.host, self.host), self.port)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True)
class UnixSocket:
    """Where a process listens for its own user alone: a socket in the file system."""

    path: Path

    @classmethod
    def parse(cls, text: str, *, setting: str) -> Self:
        """From `unix:PATH`."""
        path = Path(text.removeprefix(sockets.PREFIX))
        if not path.is_absolute() or _UNSPEAKABLE.search(str(path)) or ":" in str(path):
            raise UserError(f"{setting} is {text!r}; it should look like unix:/run/faces.sock.")
        if len(os.fsencode(path)) > sockets.MAX_PATH_BYTES:
            raise UserError(
                f"{path} is too long for a socket. Set STORAGE_DIR to a folder with a shorter "
                f"name, or {setting} to a shorter path."
            )
        return cls(path)

    @property
    def reached_at(self) -> Self:
        return self

    def __str__(self) -> str:
        return f"{sockets.PREFIX}{self.path}"


Place: TypeAlias = Address | UnixSocket


def parse_place(text: str, *, setting: str) -> Place:
    """From `HOST:PORT` or `unix:PATH`."""
    kind: type[Address] | type[UnixSocket]
    kind = UnixSocket if text.startswith(sockets.PREFIX) else Address
    return kind.parse(text, setting=setting)


@dataclass(frozen=True)
class Stack:
    """One service on this machine."""

    storage: Path
    nginx: Address
    nginx_listen: tuple[Address, ...]
    """Every address of nginx: `nginx`, and this machine's loopback in IPv6."""
    backend: Place
    ws: Place
    redis: Place | None
    """Where a Redis of our own is to listen; None: `redis_url` names a Redis that runs already."""
    redis_url: str
    service_url: str
    host_header: str
    """A host name that the backend answers to, for asking it whether it is there."""
    max_body_bytes: int
    nginx_environ: Mapping[str, str]
    """The settings that nginx/settings.sh reads."""

    @property
    def run(self) -> Path:
        """Where the processes keep what is worth nothing once they have ended."""
        return self.storage / "run"

    @property
    def redis_password(self) -> str:
        """What the URL says that Redis asks for; empty: nothing."""
        return unquote(urlsplit(self.redis_url).password or "")

    @property
    def listening(self) -> dict[str, Place]:
        """Every address that has to be free, by the setting that names it."""
        addresses: dict[str, Place] = {
            "FACES_PORT": self.nginx,
            "FACES_BACKEND_BIND": self.backend,
            "FACES_WS_BIND": self.ws,
        }
        return addresses | ({"CACHE_BACKEND_URL": self.redis} if self.redis else {})

    @property
    def is_open_to_network(self) -> bool:
        """Whether other machines reach nginx."""
        return not _is_loopback(self.nginx.host)


def backend_place(environ: Mapping[str, str]) -> Place:
    """Where the backend listens."""
    text = environ["FACES_BACKEND_BIND"] or sockets.backend(_storage(environ["STORAGE_DIR"]))
    return parse_place(text, setting="FACES_BACKEND_BIND")


def read(environ: Mapping[str, str], defaults: Mapping[str, str]) -> Stack:
    """The stack that `environ` asks for; `defaults` are the values of default.env."""
    nginx = _nginx(environ["FACES_BIND"], environ["FACES_PORT"])
    storage = _storage(environ["STORAGE_DIR"])
    redis_url = environ["CACHE_BACKEND_URL"] or sockets.redis_url(storage)
    return Stack(
        storage=storage,
        nginx=nginx,
        nginx_listen=_nginx_listen(nginx),
        backend=backend_place(environ),
        ws=parse_place(
            environ["FACES_WS_BIND"] or sockets.wsserver(storage), setting="FACES_WS_BIND"
        ),
        redis=_own_redis(environ, redis_url),
        redis_url=redis_url,
        service_url=service_address.read(Reader(environ, UserError)).url,
        host_header=host_header(environ["DJANGO_ALLOWED_HOSTS"]),
        max_body_bytes=_max_body_bytes(environ["FACES_MAX_UPLOAD_BYTES"]),
        nginx_environ=_nginx_environ(environ),
    )


def _nginx(bind: str, port: str) -> Address:
    """`FACES_BIND` is an IP address, as Docker needs one too; brackets may be around IPv6."""
    host = bind.strip().removeprefix("[").removesuffix("]")
    host = "127.0.0.1" if host.lower() == "localhost" else host
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        form = "an address like 127.0.0.1, 0.0.0.0, :: or 192.168.1.5"
        raise UserError(f"FACES_BIND is {bind!r}; it should be {form}.") from None
    # All addresses of both families, of which a machine may have one alone.
    is_ipv4_alone = found == _ALL_IPV6 and not has_ipv6()
    return Address.of("0.0.0.0" if is_ipv4_alone else str(found), port, setting="FACES_PORT")


def _nginx_listen(nginx: Address) -> tuple[Address, ...]:
    """`localhost` is also ::1, so that clients that try it first are answered; if it is free."""
    answers_localhost = nginx.host in ("0.0.0.0", "127.0.0.1")
    if answers_localhost and has_ipv6(nginx.port):
        return nginx, Address("::1", nginx.port)
    return (nginx,)


def has_ipv6(port: int = 0) -> bool:
    """Whether this machine has a loopback in IPv6, with this port free there."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("::1", port))
    except OSError:
        return False
    return True


def _storage(text: str) -> Path:
    storage = Path(text).expanduser().resolve() if text else ROOT
    for path in (storage, ROOT):
        if _UNSPEAKABLE.search(str(path)):
            raise UserError(
                f"the folder {path} has a character in its name that nginx cannot take."
            )
    return storage


def _own_redis(environ: Mapping[str, str], url: str) -> Place | None:
    """Ours where no address is set, theirs elsewhere, unless FACES_START_REDIS says it."""
    choice = environ["FACES_START_REDIS"]
    if choice not in ("auto", "yes", "no"):
        raise UserError(f"FACES_START_REDIS is {choice!r}; it should be auto, yes or no.")
    is_default = environ["CACHE_BACKEND_URL"] in ("", _FORMER_DEFAULT)
    if choice == "no" or (choice == "auto" and not is_default):
        return None
    try:
        parts = urlsplit(url)
        port = parts.port or 6379
    except ValueError as error:
        raise UserError(f"CACHE_BACKEND_URL is {url!r}: {error}.") from error
    if parts.scheme == "unix" and not parts.netloc:
        place = f"{sockets.PREFIX}{unquote(parts.path)}"
        return UnixSocket.parse(place, setting="CACHE_BACKEND_URL")
    if parts.scheme != "redis" or not _is_loopback(parts.hostname or ""):
        raise UserError(
            "a Redis of our own listens on this machine only: CACHE_BACKEND_URL should look like "
            f"{_FORMER_DEFAULT}, or be empty. For a Redis that runs elsewhere set "
            "FACES_START_REDIS=no."
        )
    return Address.of(parts.hostname or "", str(port), setting="CACHE_BACKEND_URL")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def host_header(allowed: str) -> str:
    """A name among DJANGO_ALLOWED_HOSTS that can be asked for: no wildcard."""
    names = [name.strip() for name in allowed.split(",")]
    return next((name for name in names if name and name[0] not in "*."), "localhost")


def _nginx_environ(environ: Mapping[str, str]) -> dict[str, str]:
    read = Reader(environ, UserError)
    read.networks("FACES_TRUSTED_PROXIES")
    read.origins("FACES_ALLOWED_ORIGINS")
    return {name: environ[name] for name in NGINX_SETTINGS}


def _max_body_bytes(text: str) -> int:
    """The largest request: the largest file, and the form around it."""
    if not text.isdecimal() or not int(text):
        raise UserError(f"FACES_MAX_UPLOAD_BYTES is {text!r}; it should be a number of bytes.")
    return int(text) + _FORM_BYTES
