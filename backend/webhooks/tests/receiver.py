"""A receiver of webhooks on this machine, which verifies what it gets."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Mapping
from typing import Any

from tests.support.loopback_server import LoopbackServer, QuietHandler


class Receiver(LoopbackServer):
    """Answers each POST with `statuses` in turn, the last for ever."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses or (204,))
        self.bodies: list[Any] = []
        self.headers: list[Mapping[str, str]] = []
        self.raw: list[bytes] = []
        self.got = threading.Semaphore(0)
        outer = self

        class Handler(QuietHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.raw.append(body)
                outer.bodies.append(json.loads(body))
                outer.headers.append(dict(self.headers.items()))
                statuses = outer.statuses
                self.send_response(statuses.pop(0) if len(statuses) > 1 else statuses[0])
                self.send_header("Content-Length", "0")
                self.end_headers()
                outer.got.release()

        super().__init__(Handler)
        self.address = self.url("/hook?token=hidden")

    @property
    def types(self) -> list[str]:
        return [body["type"] for body in self.bodies]

    def signatures_by(self, secret: str, place: int = -1) -> list[bool]:
        """Whether each signature of a request is by `secret`, as the specification verifies it."""
        headers = self.headers[place]
        key = base64.b64decode(secret.removeprefix("whsec_"))
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode()
        digest = hmac.new(key, signed + self.raw[place], hashlib.sha256).digest()
        wanted = "v1," + base64.b64encode(digest).decode()
        return [each == wanted for each in headers["webhook-signature"].split(" ")]
