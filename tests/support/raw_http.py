"""Requests that no decent client would send: bytes to a socket, and the answer."""

import socket
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

BOUNDARY: Final = "a-boundary-of-our-own"
MULTIPART: Final = f"multipart/form-data; boundary={BOUNDARY}"


@dataclass(frozen=True)
class Answer:
    """A server's answer; status 0 if it closed the connection without one."""

    status: int
    body: bytes


def part(name: bytes, content: bytes, filename: bytes | None = b"image.jpg") -> bytes:
    """One part of a multipart body, with the names exactly as given."""
    head = b'Content-Disposition: form-data; name="%s"' % name
    if filename is not None:
        head += b'; filename="%s"\r\nContent-Type: image/jpeg' % filename
    return b"--%s\r\n%s\r\n\r\n%s\r\n" % (BOUNDARY.encode(), head, content)


def form(*parts: bytes) -> bytes:
    """A whole multipart body."""
    return b"".join(parts) + b"--%s--\r\n" % BOUNDARY.encode()


def head(method: str, path: str, **headers: str) -> bytes:
    """The head of a request; `content_type="…"` becomes `Content-Type: …`."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close"]
    lines += [f"{name.replace('_', '-').title()}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def send(
    port: int, pieces: Iterable[bytes], *, timeout_s: float = 20, half: bool = False
) -> Answer:
    """Send `pieces` until the server answers or closes.

    The server must do one of both within `timeout_s`, or this raises `TimeoutError`. `half` closes
    our side after the first bytes of the answer: before them nginx takes it for an abort (499).
    """
    deadline = time.monotonic() + timeout_s
    with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as connection:
        connection.settimeout(0.001)
        received = bytearray()
        with suppress(ConnectionError):
            for piece in pieces:
                if _sent(connection, piece, deadline) and _has_answered(connection, received):
                    break
            connection.settimeout(max(0.001, deadline - time.monotonic()))
            if half:
                received += connection.recv(65536)
                connection.shutdown(socket.SHUT_WR)
            while data := connection.recv(65536):
                received += data
    return _parsed(bytes(received))


def _sent(connection: socket.socket, piece: bytes, deadline: float) -> bool:
    connection.settimeout(max(0.001, deadline - time.monotonic()))
    connection.sendall(piece)
    connection.settimeout(0.001)
    return True


def _has_answered(connection: socket.socket, received: bytearray) -> bool:
    """Whether the server answers before the request is complete."""
    with suppress(TimeoutError):
        received += connection.recv(65536)
        return True
    return False


def _parsed(answer: bytes) -> Answer:
    first, _, rest = answer.partition(b"\r\n")
    if not first.startswith(b"HTTP/1."):
        return Answer(0, answer)
    return Answer(int(first.split()[1]), rest.partition(b"\r\n\r\n")[2])
