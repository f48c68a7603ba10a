"""nginx before several backends, some of which are gone or die with a request in hand."""

import os
import socket
import subprocess
import tempfile
import threading
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import requests

from tools import config_files
from tools.shell import ROOT
from tools.tests.launched import free_port, wait_until

_CONF = """
worker_processes 1; daemon off; error_log stderr crit; pid {folder}/nginx.pid; {user}
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include "{rules}/http.conf";
    # A backend that was found gone is asked again all the same.
    upstream backends {{
        server 127.0.0.1:{gone} max_fails=0;
        server 127.0.0.1:{dying} max_fails=0;
        server 127.0.0.1:{living} max_fails=0;
    }}
    server {{
        listen 127.0.0.1:{port};
        set $backend_address backends;
        set $ws_address 127.0.0.1:{gone};
        set $media_dir {folder};
        include "{rules}/faces.conf";
    }}
}}
"""


class Counting(BaseHTTPRequestHandler):
    asked: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.asked.append(self.path)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


class Dying(Counting):
    """Takes the request, and then is no more."""

    asked: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.asked.append(self.path)
        self.connection.shutdown(socket.SHUT_RDWR)


class SeveralBackendsTests(unittest.TestCase):
    url: str

    @classmethod
    def setUpClass(cls) -> None:
        folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        # nginx drops to another user where it is started as root.
        folder.chmod(0o755)
        port = free_port()
        text = _CONF.format(
            folder=folder,
            rules=ROOT / "nginx",
            user="user root;" if os.geteuid() == 0 else "",
            gone=free_port(),
            dying=cls.serve(Dying),
            living=cls.serve(Counting),
            port=port,
        )
        (folder / "nginx.conf").write_text(text)
        nginx = [
            config_files._program_file("nginx"),
            "-e",
            "stderr",
            "-c",
            str(folder / "nginx.conf"),
        ]
        process = subprocess.Popen(nginx, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        cls.addClassCleanup(process.wait)
        cls.addClassCleanup(process.terminate)
        cls.url = f"http://127.0.0.1:{port}"
        wait_until(lambda: cls.listens(port), "nginx answers")

    @staticmethod
    def listens(port: int) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    @classmethod
    def serve(cls, handler: type[Counting]) -> int:
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        cls.addClassCleanup(server.server_close)
        cls.addClassCleanup(server.shutdown)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server.server_port

    def setUp(self) -> None:
        Counting.asked.clear()
        Dying.asked.clear()

    def statuses(self, path: str, count: int = 12) -> list[int]:
        return [
            requests.post(self.url + path, data=b"x" * 90_000, timeout=10).status_code
            for _ in range(count)
        ]

    def test_a_repeatable_request_reaches_a_living_backend(self) -> None:
        for path in ("/image/", "/generate_face_encoding", "/face_encodings/batch", "/verify/"):
            with self.subTest(path):
                self.assertEqual(set(self.statuses(path)), {200})
        self.assertTrue(Dying.asked, "it had some of them in hand")

    def test_any_other_request_is_sent_once_and_skips_backends_that_are_gone(self) -> None:
        statuses = self.statuses("/admin/login/")
        self.assertEqual(set(statuses), {200, 502})
        self.assertEqual(statuses.count(502), len(Dying.asked))
        self.assertEqual(statuses.count(200), len(Counting.asked))
