"""The connection of a download: to an address that was checked, and never waiting for ever.

httpcore does the HTTP, because it does nothing else: it follows no redirect, keeps no cookie, asks
no proxy and no netrc, and decodes nothing; and its network backend is where a connection is made
(requests and httpx would have to be undone in each of these points, urllib3 subclassed in parts
that are not public). This module is that backend.
"""

import queue
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, Final

import httpcore

from . import addresses
from .errors import DownloadError
from .targets import Target

_MAX_HEAD_BYTES: Final = 32 << 10
"""Status line and headers, with what a server sends before them (1xx)."""
_MAX_ADDRESSES: Final = 4
"""So many addresses of a name are tried: a name with hundreds must not make us knock at each."""


class Budget:
    """What is left of the time of a download, and of the bytes of one answer."""

    def __init__(self, timeout_s: float, connect_timeout_s: float) -> None:
        self._connect_timeout_s = connect_timeout_s
        self._end = time.monotonic() + timeout_s
        self._bytes = _MAX_HEAD_BYTES

    def left_s(self) -> float:
        """TimeoutError when nothing is left: zero would mean "do not wait" to a socket."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def connect_s(self) -> float:
        return min(self.left_s(), self._connect_timeout_s)

    def expect_head(self) -> None:
        self._bytes = _MAX_HEAD_BYTES

    def expect_body(self, max_bytes: int) -> None:
        """Twice the body: a server may send it in chunks, each with a line of its own around it."""
        self._bytes = 2 * max_bytes + _MAX_HEAD_BYTES

    def next_read(self, wanted: int) -> int:
        if self._bytes <= 0:
            raise DownloadError("The server sent more than was asked for.", permanent=True)
        return min(wanted, self._bytes)

    def spend(self, count: int) -> None:
        self._bytes -= count


class Connector(httpcore.NetworkBackend):
    """Connects to `target` and nothing else, whatever host it is given."""

    def __init__(self, target: Target, budget: Budget) -> None:
        self._target = target
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
        for address in checked_addresses(self._target, self._budget)[:_MAX_ADDRESSES]:
            try:
                return _Stream(self._connected(address), self._budget)
            except OSError as error:
                failure = error
        raise failure

    def _connected(self, address: addresses.Address) -> socket.socket:
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.settimeout(self._budget.connect_s())
            # The text of an address: nothing is looked up.
            sock.connect((str(address), self._target.port))
        except BaseException:
            sock.close()
            raise
        return sock


def checked_addresses(target: Target, budget: Budget) -> Sequence[addresses.Address]:
    """Where `target` is. One address that may not be asked among many refuses all.

    A name in whose answers public and private addresses mix is no host for images, and choosing
    among them would only make the attempt cheaper. That a name is unknown and that it is private
    is told in the same words, so that nobody can list the names of our network.
    """
    if target.address is not None:
        return [target.address]
    found = list(dict.fromkeys(_look_up(target.host, target.port, budget.left_s())))
    if not found or not all(addresses.may_connect(a, listed=target.listed) for a in found):
        raise _no_address(target.host)
    return found


def _no_address(host: str) -> DownloadError:
    return DownloadError(f"No public address was found for {host}.", permanent=True)


def _look_up(host: str, port: int, timeout_s: float) -> Sequence[addresses.Address]:
    """The resolver's answers. It has no time limit of its own, so it runs in a thread beside."""
    answers: queue.SimpleQueue[Sequence[addresses.Address] | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(_resolve(host, port))
        except Exception as error:  # carried over to the thread that waits, and raised there
            answers.put(error)

    threading.Thread(target=ask, daemon=True, name="name look-up").start()
    try:
        answer = answers.get(timeout=timeout_s)
    except queue.Empty:
        raise TimeoutError from None
    if isinstance(answer, Exception):
        raise answer
    return answer


def _resolve(host: str, port: int) -> Sequence[addresses.Address]:
    try:
        # As bytes, or Python would encode the name once more, by other rules than ours.
        found = socket.getaddrinfo(host.encode("ascii"), port, type=socket.SOCK_STREAM)
        return [addresses.parse(str(entry[4][0])) for entry in found]
    except socket.gaierror as error:
        if error.errno == socket.EAI_AGAIN:
            message = f"The name {host} cannot be looked up at the moment."
            raise DownloadError(message, permanent=False) from error
        raise _no_address(host) from error
    except ValueError as error:
        raise _no_address(host) from error


class _Stream(httpcore.NetworkStream):
    """A socket whose every wait ends with the budget's time, whatever httpcore asks for."""

    def __init__(self, sock: socket.socket, budget: Budget) -> None:
        self._sock = sock
        self._budget = budget

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        size = self._budget.next_read(max_bytes)
        self._sock.settimeout(self._budget.left_s())
        data = self._sock.recv(size)
        self._budget.spend(len(data))
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
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
            # An end without TLS's own goodbye may be a cut that someone between us made.
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
    """The system's authorities, or those that SSL_CERT_FILE and SSL_CERT_DIR name."""
    return ssl.create_default_context()
