"""A small HTTP server: requests with a bounded body in, bytes out."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

_READ_TIMEOUT_S: Final = 30.0


class Server(ThreadingHTTPServer):
    """Serves in threads of its own until it is closed. `app` is what the requests address."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], requests: type[Requests], app: Any) -> None:
        super().__init__(address, requests)
        self.app = app

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def start(self) -> None:
        """Serve, in a thread."""
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report everything but a connection that the client broke off."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)

    def stop(self) -> None:
        """Stop serving; for good."""
        self.shutdown()
        self.server_close()


class Requests(BaseHTTPRequestHandler):
    """The common part of both interfaces."""

    protocol_version = "HTTP/1.1"
    timeout = _READ_TIMEOUT_S
    server: Server

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: invocations are logged, requests are not."""

    def body(self, *, at_most: int) -> bytes | None:
        """The body; None if it is larger, or of unknown size."""
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or "Transfer-Encoding" in self.headers or int(length) > at_most:
            self.close_connection = True
            return None
        return self.rfile.read(int(length))

    def answer(
        self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> None:
        """Send an answer, JSON if it has a body."""
        try:
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
                self.send_header(name, value)
            if status != 204:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except OSError:  # the client has gone
            self.close_connection = True

    def refuse(self, status: int, kind: str, message: str) -> None:
        """An error as AWS's clients read it."""
        body = json.dumps({"Type": "User", "message": message}).encode()
        self.answer(status, body, {"x-amzn-ErrorType": kind})
