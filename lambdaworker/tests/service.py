"""A service and a store of photos for the function: a real server whose answers tests set."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from wire.facedetection import Capability, Payload, SourceShape


@dataclass
class Answer:
    """What is sent; `drip_s`: each byte of the body alone, so long apart."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    breaks_off: bool = False
    drip_s: float = 0.0


class Service(ThreadingHTTPServer):
    """`answers` by path, the last one again and again; what was asked is in `asked`."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Requests)
        self.answers: dict[str, list[Answer]] = {}
        self.asked: list[tuple[str, str, dict[str, str], Any]] = []
        self.on_request: Callable[[str], object] = lambda path: None

    def handle_error(self, request: Any, client_address: Any) -> None:
        """The function breaks off what takes too long: that is meant."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def photo(self, name: str, body: bytes) -> str:
        """Its address, which holds a signature as real ones do."""
        self.answers[f"/{name}"] = [Answer(body=body, headers={"Content-Type": "image/jpeg"})]
        return f"{self.url}/{name}?signature=signature-of-{name}"

    def callback(self, pk: int, *answers: Answer, type: str = "photo", method: str = "") -> None:
        self.answers[f"{method}/api/facedetection/encodings/{type}/{pk}/"] = list(answers)

    def posted(self) -> dict[str, Any]:
        """The last body of each callback, by what it is of."""
        bodies = [(path, body) for method, path, _, body in self.asked if method == "POST"]
        return {"/".join(path.split("/")[4:6]): body for path, body in bodies}

    def count(self, method: str, word: str) -> int:
        return sum(each[0] == method and word in each[1] for each in self.asked)


class _Requests(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Service

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = self.path.partition("?")[0]
        length = int(self.headers.get("Content-Length", 0))
        body = json.loads(self.rfile.read(length)) if length else None
        self.server.asked.append((self.command, path, dict(self.headers), body))
        self.server.on_request(path)
        known = self.server.answers
        answers = known.get(self.command + path) or known.get(path) or [Answer()]
        self._send(answers.pop(0) if len(answers) > 1 else answers[0])

    def _send(self, answer: Answer) -> None:
        if answer.breaks_off and answer.status == 0:
            self.close_connection = True
            return
        self.send_response(answer.status)
        self.send_header("Content-Length", str(len(answer.body) + answer.breaks_off))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        try:
            for byte in answer.body if answer.drip_s else ():
                self.wfile.write(bytes([byte]))
                time.sleep(answer.drip_s)
            self.wfile.write(b"" if answer.drip_s else answer.body)
        except OSError:
            pass
        self.close_connection = self.close_connection or answer.breaks_off

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def running() -> Iterator[Service]:
    service = Service()
    threading.Thread(target=service.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield service
    finally:
        service.shutdown()
        service.server_close()


def source(pk: int, url: str, type: str = "photo") -> SourceShape:
    return {"pk": pk, "type": type, "photo_url": url, "token": f"secret-token-{pk}"}


def event(service: Service, *sources: SourceShape, accepts: tuple[Capability, ...] = ()) -> Payload:
    """As an old service sends it, without `accepts`."""
    payload: Payload = {"api_url": service.url, "sources": list(sources)}
    if accepts:
        payload["accepts"] = [str(each) for each in accepts]
    return payload
