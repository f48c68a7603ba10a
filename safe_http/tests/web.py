"""A small web for tests of requests: servers that misbehave, and a resolver that tests fill.

Nothing outside this machine is contacted: a "public" address leads to a server on loopback, and
any other connection that is not to loopback fails the test.
"""

import contextlib
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Self
from unittest import mock

from safe_http import Client, Policy
from tests.support import image_factories

JPEG = image_factories.encoded(image_factories.faceless())
CLIENT = Client(max_bytes=32 << 20, timeout_s=20)


def allowing(*private_hosts: str, **limits: Any) -> Client:
    """A client whose policy names `private_hosts`."""
    return replace(CLIENT, policy=Policy(private_hosts), **limits)


Reply = Callable[[socket.socket], None]
"""Answers a request that was read; the connection is closed afterwards."""


def answer(
    body: bytes = b"", status: str = "200 OK", kind: str | None = "image/jpeg", *headers: str
) -> Reply:
    """A whole answer with its length, and a type unless `kind` is None."""
    length = () if any(h.lower().startswith("content-length") for h in headers) else (len(body),)
    lines = [
        f"HTTP/1.1 {status}",
        *(f"Content-Length: {size}" for size in length),
        *([f"Content-Type: {kind}"] if kind is not None else []),
        *headers,
    ]
    return raw("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)


def redirect(location: str, status: str = "302 Found") -> Reply:
    return answer(b"", status, None, f"Location: {location}")


def raw(data: bytes) -> Reply:
    return lambda connection: connection.sendall(data)


def endless(start: bytes, more: bytes, pause: threading.Event, pause_s: float = 0.0) -> Reply:
    """`start`, then `more` for ever, `pause_s` apart, until the other side has enough."""

    def reply(connection: socket.socket) -> None:
        connection.sendall(start)
        while not pause.wait(pause_s):
            connection.sendall(more)

    return reply


class Server:
    """Answers on a free port of 127.0.0.1: by path, then closes. Counts connections."""

    def __init__(
        self, replies: Mapping[str, Reply] | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        self.replies = dict(replies or {})
        self.requests: list[bytes] = []
        self.connections = 0
        self.ended = threading.Event()
        self._tls = tls
        self._threads: list[threading.Thread] = []
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._socket.getsockname()[1]

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for thread in self._threads:
            thread.join()

    def _start(self, work: Callable[..., None], *args: object) -> None:
        self._threads.append(threading.Thread(target=work, args=args, daemon=True))
        self._threads[-1].start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                connection, _ = self._socket.accept()
                self.connections += 1
                self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:  # the other side left
            connection.settimeout(5)
            if self._tls is None:
                return self._answer(connection)
            with self._tls.wrap_socket(connection, server_side=True) as secure:
                self._answer(secure)
                with contextlib.suppress(ValueError):  # shut down already
                    secure.unwrap()

    def _answer(self, connection: socket.socket) -> None:
        request = b""
        while b"\r\n\r\n" not in request:
            request += connection.recv(65536) or b"\r\n\r\n"
        self.requests.append(request)
        path = request.split(b" ")[1].decode("latin-1") if b" " in request else ""
        self.replies.get(path, answer(b"", "404 Not Found"))(connection)


class Net:
    """The resolver and the way out, as a test sets them; notes every look-up and connection.

    `names[host]` are the answers to each look-up in turn, the last for ever; `routes[address]` is
    where on loopback a connection to that address and port leads.
    """

    def __init__(self) -> None:
        self.names: dict[str, list[Sequence[str]]] = {}
        self.routes: dict[tuple[str, int], int] = {}
        self.looked_up: list[str] = []
        self.connected: list[tuple[str, int]] = []
        self._patches = ExitStack()
        self._connect = socket.socket.connect
        self._getaddrinfo = socket.getaddrinfo

    def __enter__(self) -> Self:
        net = self

        def connect(sock: socket.socket, address: tuple[str, int]) -> None:
            net._connect_by_route(sock, address)

        self._patches.enter_context(mock.patch.object(socket.socket, "connect", connect))
        self._patches.enter_context(mock.patch.object(socket, "getaddrinfo", self._resolve))
        return self

    def __exit__(self, *_: object) -> None:
        self._patches.close()

    def _connect_by_route(self, sock: socket.socket, address: tuple[str, int]) -> None:
        self.connected.append(address)
        if address in self.routes:
            address = ("127.0.0.1", self.routes[address])
        elif not address[0].startswith("127.") and address[0] != "::1":
            raise AssertionError(f"a connection to {address} leaves this machine")
        self._connect(sock, address)

    def _resolve(self, host: Any, port: int, *args: Any, **kwargs: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else str(host)
        self.looked_up.append(name)
        if name not in self.names:
            # Whatever the system's resolver understands without asking anyone.
            return self._getaddrinfo(host, port, flags=socket.AI_NUMERICHOST, type=1)
        answers = self.names[name]
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        return [
            (socket.AF_INET6 if ":" in text else socket.AF_INET, 1, 6, "", (text, port))
            for text in found
        ]


@contextlib.contextmanager
def listeners() -> Iterator[list[socket.socket]]:
    """Sockets that listen at one free port of 127.0.0.1 and, where there is one, ::1."""
    with ExitStack() as stack:
        first = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        found = [first]
        with contextlib.suppress(OSError):
            second = socket.create_server(("::1", first.getsockname()[1]), family=socket.AF_INET6)
            found.append(stack.enter_context(second))
        for each in found:
            each.setblocking(False)
        yield found


def was_touched(listener: socket.socket) -> bool:
    """Whether anyone connected: the system accepts on a listener's behalf."""
    try:
        connection, _ = listener.accept()
    except BlockingIOError:
        return False
    connection.close()
    return True


def certificate(folder: Path, host: str) -> Path:
    """A key and a certificate for `host` that signed itself, in one file."""
    key, cert, both = (folder / f"{host}.{end}" for end in ("key", "crt", "pem"))
    command = [
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
        *("-nodes", "-days", "2", "-subj", f"/CN={host}", "-addext", f"subjectAltName=DNS:{host}"),
        *("-keyout", str(key), "-out", str(cert)),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=20)
    both.write_bytes(key.read_bytes() + cert.read_bytes())
    return both
