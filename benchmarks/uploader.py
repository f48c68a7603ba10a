"""A client that takes next to no processor time, for benchmarks that share the cores with it."""

import json
from contextlib import closing
from http.client import HTTPConnection
from typing import Final, Self

_HEAD: Final = (
    b'--limit\r\nContent-Disposition: form-data; name="%s"; filename="a.jpg"\r\n'
    b"Content-Type: image/jpeg\r\n\r\n"
)
_HEADERS: Final = {"Content-Type": "multipart/form-data; boundary=limit"}


def form(file: bytes, field: str = "image") -> bytes:
    """The body of an upload, to be made before the time is taken."""
    return _HEAD % field.encode() + file + b"\r\n--limit--\r\n"


class Uploader:
    """One connection to nginx at `port`, which stays open."""

    def __init__(self, port: int) -> None:
        self._connection: Final = HTTPConnection("127.0.0.1", port, timeout=120)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def post(self, body: bytes, path: str = "/image/", status: int = 202) -> bytes:
        """Send a `form` and read the whole answer."""
        self._connection.request("POST", path, body, _HEADERS)
        with closing(self._connection.getresponse()) as answer:
            text = answer.read()
        assert answer.status == status, f"{answer.status}: {text[:300]!r}"
        return text

    def upload(self, body: bytes) -> str:
        """Upload a `form`; returns the submission's id."""
        return str(json.loads(self.post(body))["id"])
