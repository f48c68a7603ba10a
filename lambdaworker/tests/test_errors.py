"""Sentry's report of a failing function: the real SDK, and a server that reads what it sends."""

import gzip
import subprocess
import sys
import threading
import unittest
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

_RUN = """
import logging
from lambdaworker import errors
errors.start({dsn!r}, "test")
token = "secret-token-of-a-local-variable"
try:
    with errors.reported():
        logging.getLogger("lambdaworker").warning("GET https://s/x?signature=secret-signature")
        raise ValueError("token=secret-token at https://s3.example/a.jpg?X-Amz-Signature=secret")
except ValueError:
    print("raised on")
"""


class SentryTests(unittest.TestCase):
    def test_an_error_is_reported_without_tokens_and_signed_addresses(self) -> None:
        received: list[bytes] = []

        class Sentry(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                is_packed = self.headers.get("Content-Encoding") == "gzip"
                received.append(gzip.decompress(body) if is_packed else body)
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, format: str, *args: Any) -> None:
                pass

        server = HTTPServer(("127.0.0.1", 0), Sentry)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        dsn = f"http://key@127.0.0.1:{server.server_address[1]}/1"
        command = [sys.executable, "-c", _RUN.format(dsn=dsn)]
        ran = subprocess.run(command, capture_output=True, text=True)
        self.assertEqual(ran.stdout, "raised on\n", ran.stderr)
        said = b"".join(received).decode()
        self.assertIn("ValueError", said)
        self.assertNotIn("secret", said)
