"""The network backend of a request: it connects to a checked address, and every wait ends.

httpcore does the HTTP, because it does nothing else: it follows no redirect, keeps no cookie, uses
no proxy and no netrc, and decodes nothing; and its network backend is where a connection is made
(each of these would have to be turned off in requests and httpx, and urllib3 subclassed in parts
that are not public). This module is that backend.
"""

import queue
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

import certifi
import httpcore

from . import ip_policy
from .errors import FetchError
from .ip_policy import Address
from .url_policy import Policy, Target

_CONNECT_TIMEOUT_S: Final = 5.0
"""Of one address: the next one is tried within the time of the request."""
_MAX_HEAD_BYTES: Final = 32 << 10
"""Status line and headers, with the 1xx answers before them."""
_LOOK_S: Final = 0.5
"""Seconds until a read notices that its request is over."""
_MAX_ADDRESSES: Final = 4
"""Addresses of a name that are tried: a name with hundreds must not make us scan them all."""


class Budget:
    """The time left to a request, and the bytes left to one answer."""

    def __init__(self, timeout_s: float, is_over: threading.Event | None = None) -> None:
        self._end = time.monotonic() + timeout_s
        self._is_over = is_over
        self._bytes = _MAX_HEAD_BYTES

    def left_s(self) -> float:
        """TimeoutError when nothing is left: zero would mean "do not wait" to a socket."""
        left = self._end - time.monotonic()
        if left <= 0 or (self._is_over is not None and self._is_over.is_set()):
            raise TimeoutError
        return left

    def connect_s(self) -> float:
        return min(self.left_s(), _CONNECT_TIMEOUT_S)

    def expect_head(self) -> None:
        self._bytes = _MAX_HEAD_BYTES

    def expect_body(self, max_bytes: int) -> None:
        """Twice the body: a server may send it in chunks, each with a line of its own."""
        self._bytes = 2 * max_bytes + _MAX_HEAD_BYTES

    def next_read(self, wanted: int) -> int:
        if self._bytes <= 0:
            raise FetchError("The server sent more than was asked for.", permanent=True)
        return min(wanted, self._bytes)

    def spend(self, count: int) -> None:
        self._bytes -= count


class Connector(httpcore.NetworkBackend):
    """Connects to `target` and nothing else, whatever host it is given."""

    def __init__(self, target: Target, policy: Policy, budget: Budget) -> None:
        self.target = target
        self.reached: ip_policy.Reach | None = None
        """Of the address that was connected to."""
        self._policy = policy
        self._budget = budget

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        self._budget.expect_head()
        failure: OSError = OSError("no address")
        found = checked_addresses(self.target, self._policy, self._budget)
        for address in found[:_MAX_ADDRESSES]:
            try:
                stream = _Stream(self._connected(address), self._budget)
                self.reached = ip_policy.reach(address)
                return stream
            except OSError as error:
                failure = error
        raise failure

    def _connected(self, address: Address) -> socket.socket:
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.settimeout(self._budget.connect_s())
            # The text of an address: no name is resolved.
            sock.connect((str(address), self.target.port))
        except BaseException:
            sock.close()
            raise
        return sock


def checked_addresses(target: Target, policy: Policy, budget: Budget) -> Sequence[Address]:
    """The addresses of `target`. A single one that is not allowed refuses all.

    A name whose answers mix public and private addresses is no host for images, and choosing
    among them would only make an attack cheaper. Unknown and private names get the same message,
    so that a caller cannot list the names of our network.
    """
    if target.address is not None:
        found: Sequence[Address] = [target.address]
    else:
        found = list(dict.fromkeys(_look_up(target.host, target.port, budget.left_s())))
        private = target.allow_private
        if not found or not all(ip_policy.may_connect(a, allow_private=private) for a in found):
            raise _no_address(target.host)
    if _is_forbidden(found, target.port, policy, budget):
        raise FetchError(f"{target.host} is at an address that is not asked.", permanent=True)
    return found


def _is_forbidden(found: Sequence[Address], port: int, policy: Policy, budget: Budget) -> bool:
    host, _, forbidden_port = policy.forbidden.rpartition(":")
    if str(port) != forbidden_port:
        return False
    forbidden = set(_look_up(host, port, budget.left_s()))
    # A server at one loopback address may answer at all of them.
    is_loopback = any(each.is_loopback for each in forbidden)
    return any(each in forbidden or (is_loopback and each.is_loopback) for each in found)


def _no_address(host: str) -> FetchError:
    return FetchError(f"No public address was found for {host}.", permanent=True)


def _look_up(host: str, port: int, timeout_s: float) -> Sequence[Address]:
    """The resolver's answers. It has no time limit of its own, so it runs in another thread."""
    answers: queue.SimpleQueue[Sequence[Address] | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(_resolve(host, port))
        except Exception as error:  # raised in the thread that waits
            answers.put(error)

    threading.Thread(target=ask, daemon=True, name="name look-up").start()
    try:
        answer = answers.get(timeout=timeout_s)
    except queue.Empty:
        raise TimeoutError from None
    if isinstance(answer, Exception):
        raise answer
    return answer


def _resolve(host: str, port: int) -> Sequence[Address]:
    try:
        # As bytes, or Python would encode the name once more by other rules (IDNA 2003).
        found = socket.getaddrinfo(host.encode("ascii"), port, type=socket.SOCK_STREAM)
        return [ip_address(str(entry[4][0])) for entry in found]
    except socket.gaierror as error:
        if error.errno == socket.EAI_AGAIN:
            message = f"The name {host} cannot be looked up at the moment."
            raise FetchError(message, permanent=False) from error
        raise _no_address(host) from error
    except ValueError as error:
        raise _no_address(host) from error


class _Stream(httpcore.NetworkStream):
    """A socket whose every wait ends with the budget's time, whatever timeout httpcore passes."""

    def __init__(self, sock: socket.socket, budget: Budget) -> None:
        self._sock = sock
        self._budget = budget

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        size = self._budget.next_read(max_bytes)
        while True:
            self._sock.settimeout(min(self._budget.left_s(), _LOOK_S))
            with suppress(TimeoutError):
                data = self._sock.recv(size)
                break
        self._budget.spend(len(data))
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if not buffer:
            # httpcore ends each request so. A reset by the server would be reported here, where it
            # does no harm, and the read after it would see a regular end.
            return
        self._sock.settimeout(self._budget.left_s())
        try:
            self._sock.sendall(buffer)
        except OSError as error:
            # A server may answer and close before it has read all: httpcore then reads the answer.
            raise httpcore.WriteError(error) from error

    def close(self) -> None:
        self._sock.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        """`server_hostname` is the host of the URL: the certificate must be for it."""
        try:
            self._sock.settimeout(self._budget.left_s())
            # An end without the close_notify of TLS may be a cut on the way.
            secure = ssl_context.wrap_socket(
                self._sock, server_hostname=server_hostname, suppress_ragged_eofs=False
            )
        except BaseException:
            self.close()
            raise
        return _Stream(secure, self._budget)

    def get_extra_info(self, info: str) -> Any:
        return None


@cache
def tls_context() -> ssl.SSLContext:
    """The system's authorities, or those that SSL_CERT_FILE and SSL_CERT_DIR name.

    Python 3.11.2 (Debian 12) and others ask OpenSSL 3 to report a cut stream as its regular end,
    so that a body without a length is taken short; that option is cleared here.
    """
    paths = ssl.get_default_verify_paths()
    has_folder = paths.capath is not None and any(Path(paths.capath).iterdir())
    of_certifi = None if paths.cafile or has_folder else certifi.where()
    context = ssl.create_default_context(cafile=of_certifi)
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
    return context
