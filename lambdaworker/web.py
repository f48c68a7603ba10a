"""HTTP that ends in time, asks no address that it may not, and says whether to try again.

httpcore does the HTTP: it follows no redirect, reads no proxy settings and decodes nothing, and its
network backend is where an address can be checked that is then connected to, and no other.
"""

import ssl
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import httpcore

from lambdaworker import addresses
from lambdaworker.addresses import Address

_CONNECT_TIMEOUT_S: Final = 10.0
_TRY_AGAIN: Final = frozenset((408, 425, 429))
_MAX_WAIT_S: Final = 60.0
"""Of a server's Retry-After no more is heeded: the function costs while it waits."""


_HEADERS: Final = {"User-Agent": "faces-lambda", "Accept-Encoding": "identity"}


class WebError(Exception):
    """Something could not be fetched or told. `permanent`: trying again would not help."""

    def __init__(
        self, message: str, *, permanent: bool, status: int = 0, wait_s: float = 0.0
    ) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.status = status
        self.wait_s = wait_s


class _Here(threading.local):
    ends_at = float("inf")


_here: Final = _Here()


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """What this thread asks of the network in the block ends after `seconds`, however it drips."""
    before = _here.ends_at
    _here.ends_at = min(before, time.monotonic() + seconds)
    try:
        yield
    finally:
        _here.ends_at = before


def left_s() -> float:
    """What is left of the time of this thread; `httpcore.TimeoutException` when nothing is."""
    left = _here.ends_at - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("no time is left")
    return min(left, 3600.0)


class Web:
    """Connections of one invocation, kept open between requests. Safe for threads."""

    def __init__(self, *, parallel: int, never: str = "", tls: ssl.SSLContext) -> None:
        self._pools = {
            only_public: httpcore.ConnectionPool(
                ssl_context=tls,
                max_connections=2 * parallel,
                keepalive_expiry=20,
                network_backend=_Backend(only_public=only_public, never=never),
            )
            for only_public in (False, True)
        }

    def close(self) -> None:
        for pool in self._pools.values():
            pool.close()

    @contextmanager
    def ask(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        only_public: bool = False,
    ) -> Iterator[httpcore.Response]:
        """The answer, whatever its status, its body still to be read. Raises `WebError`."""
        host = urlsplit(url).hostname or "-"
        with _faults_of(host):
            wait = {"timeout": {"pool": left_s()}}
            sent = [*_HEADERS.items(), *(headers or {}).items()]
            pool = self._pools[only_public]
            with pool.stream(method, url, headers=sent, content=body, extensions=wait) as answer:
                yield answer


def after_redirect(url: str, response: httpcore.Response) -> str:
    """Where a redirect from `url` leads: http(s), and not from https to http."""
    target = urljoin(url, header(response, "location"))
    schemes = ("https",) if url.lower().startswith("https:") else ("http", "https")
    if not header(response, "location") or urlsplit(target).scheme not in schemes:
        raise WebError(f"{urlsplit(url).hostname} redirects to nowhere.", permanent=True)
    return target


def came_from_public(response: httpcore.Response) -> bool:
    """Whether the answer came over the internet, or from the service's own network."""
    place = response.extensions["network_stream"].get_extra_info("server_addr")
    return addresses.may_connect(ip_address(str(place[0])), only_public=True)


def check_status(response: httpcore.Response, host: str) -> None:
    """`WebError` unless the answer is 200."""
    status = response.status
    if status != 200:
        permanent = status < 500 and status not in _TRY_AGAIN
        wait_s = _retry_after_s(response)
        message = f"{host} answered {status}."
        raise WebError(message, permanent=permanent, status=status, wait_s=wait_s)


def header(response: httpcore.Response, name: str) -> str:
    """The value of the header `name` (in lower case), or nothing."""
    found = (value for key, value in response.headers if key.lower() == name.encode())
    return next(found, b"").decode("latin-1").strip()


def read(response: httpcore.Response, *, at_most: int) -> bytes:
    """The beginning of the body."""
    taken = bytearray()
    for chunk in response.iter_stream():
        taken += chunk
        if len(taken) >= at_most:
            break
    return bytes(taken[:at_most])


def _retry_after_s(response: httpcore.Response) -> float:
    text = header(response, "retry-after")
    return min(float(text), _MAX_WAIT_S) if text.isascii() and text.isdecimal() else 0.0


@contextmanager
def _faults_of(host: str) -> Iterator[None]:
    """Every way in which a server or the network can fail, as a `WebError`."""
    try:
        yield
    except httpcore.TimeoutException as error:
        raise WebError(f"{host} took too long to answer.", permanent=False) from error
    except (httpcore.UnsupportedProtocol, UnicodeError, httpcore.LocalProtocolError) as error:
        raise WebError(f"{host} is part of no usable URL.", permanent=True) from error
    except (OSError, httpcore.NetworkError, httpcore.ProtocolError) as error:
        message = f"{host} could not be reached, or broke off."
        raise WebError(message, permanent=False) from error


class _Backend(httpcore.NetworkBackend):
    """Connects to addresses that were checked, each wait within the thread's time."""

    def __init__(self, *, only_public: bool, never: str) -> None:
        self._only_public = only_public
        self._never = never
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        failed: Exception | None = None
        for address in addresses.resolve(host, port):
            if self._may(address, port):
                try:
                    time_s = min(_CONNECT_TIMEOUT_S, left_s())
                    return _Stream(self._sockets.connect_tcp(str(address), port, time_s))
                except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                    failed = error
        raise failed or WebError(f"{host} is at an address that is not asked.", permanent=True)

    def _may(self, address: Address, port: int) -> bool:
        if f":{port}" in self._never:
            name, _, its_port = self._never.rpartition(":")
            if int(its_port) == port and address in addresses.resolve(name, port):
                return False
        return addresses.may_connect(address, only_public=self._only_public)


class _Stream(httpcore.NetworkStream):
    """A stream whose every wait ends with the thread's time."""

    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, left_s())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, left_s())

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, left_s()))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
