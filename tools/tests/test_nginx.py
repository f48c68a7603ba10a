"""The rules of nginx, with the real nginx before a backend that returns each request."""

import json
import socket
import subprocess
import tempfile
import threading
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from unittest import mock

import requests

from tools import config, config_files
from tools.shell import ROOT
from tools.tests.launched import free_port, wait_until
from tools.tests.test_config_files import a_stack

_LIMIT_BYTES = 1_000_000


class Echo(BaseHTTPRequestHandler):
    """Answers with the request; below /stored/ it lets nginx send a file of media/."""

    posted: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        if self.path.startswith("/stored/"):
            self.send_response(200)
            self.send_header("X-Accel-Redirect", self.path.replace("/stored/", "/_media/", 1))
            self.send_header("Content-Type", "image/jpeg")
            self.end_headers()
            return
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = json.dumps({"path": self.path, "headers": headers, "bytes": len(body)}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def do_POST(self) -> None:
        self.posted.append(self.path)
        if "dies" in self.path and self.posted.count(self.path) == 1:
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:
        pass


class NginxTests(unittest.TestCase):
    """One nginx, with the launcher's configuration but shorter patience."""

    settings: ClassVar[dict[str, str]] = {}
    backend: ThreadingHTTPServer
    port: int
    url: str
    service: config.Stack

    @classmethod
    def setUpClass(cls) -> None:
        folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        Echo.posted.clear()
        cls.backend = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
        cls.addClassCleanup(cls.backend.server_close)
        cls.addClassCleanup(cls.backend.shutdown)
        threading.Thread(target=cls.backend.serve_forever, daemon=True).start()
        cls.port = free_port()
        service = a_stack(
            folder / "a folder",
            FACES_PORT=str(cls.port),
            FACES_BACKEND_BIND=f"127.0.0.1:{cls.backend.server_port}",
            FACES_WS_BIND=f"127.0.0.1:{free_port()}",
            FACES_MAX_UPLOAD_BYTES=str(_LIMIT_BYTES),
            **cls.settings,
        )
        cls.service = service
        rules = folder / "nginx"
        rules.mkdir()
        for source in (ROOT / "nginx").glob("*.conf"):
            text = source.read_text().replace("client_body_timeout 20s", "client_body_timeout 1s")
            (rules / source.name).write_text(text)
        with mock.patch.object(config_files, "ROOT", folder):
            config_files.write(service, connections=256)
        image = service.storage / "media" / "processed_faces" / "aa" / "face.jpg"
        image.parent.mkdir(parents=True)
        image.write_bytes(b"\xff\xd8 a picture")
        (service.storage / "media" / "secret").write_text("not for everyone")
        (image.parent / "link.jpg").symlink_to(service.storage / "media" / "secret")
        command, _ = config_files.commands(service)["nginx"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        cls.addClassCleanup(process.wait)
        cls.addClassCleanup(process.terminate)
        cls.url = f"http://127.0.0.1:{cls.port}"
        wait_until(cls._answers, "nginx answers")

    @classmethod
    def _answers(cls) -> bool:
        try:
            return requests.get(cls.url, timeout=5).status_code == 200
        except requests.RequestException:
            return False

    def say(self, data: bytes) -> bytes:
        """What nginx answers to `data`, sent as it is."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as client:
            client.sendall(data)
            answer = b""
            while b"\r\n\r\n" not in answer or b"}" not in answer:
                received = client.recv(65536)
                if not received:
                    break
                answer += received
            return answer

    def assert_error(self, answer: bytes, status: int) -> None:
        head, _, body = answer.partition(b"\r\n\r\n")
        self.assertEqual(int(head.split()[1]), status, answer)
        self.assertIn(b"content-type: application/json", head.lower())
        self.assertIsInstance(json.loads(body)["detail"], str)

    def post(self, head: bytes) -> bytes:
        return self.say(b"POST /image/ HTTP/1.1\r\nHost: localhost\r\n" + head)

    def test_paths_and_queries_reach_the_backend_untouched(self) -> None:
        for path in ("/image", "/image/", "/a//b/?x=%2F&y", "/a%20b%2Fc"):
            with self.subTest(path):
                line = b"GET " + path.encode() + b" HTTP/1.0\r\nHost: localhost\r\n\r\n"
                body = self.say(line).partition(b"\r\n\r\n")[2]
                self.assertEqual(json.loads(body)["path"], path)

    def test_what_a_client_claims_of_itself_is_not_passed_on(self) -> None:
        claims = dict.fromkeys(("X-Forwarded-For", "X-Real-IP", "Forwarded"), "1.2.3.4")
        answer = requests.get(self.url, headers={**claims, "X-Request-ID": "mine"}, timeout=10)
        reached = answer.json()["headers"]
        self.assertEqual(reached["x-forwarded-for"], "127.0.0.1")
        self.assertEqual(reached["x-real-ip"], "127.0.0.1")
        self.assertNotIn("forwarded", reached)
        self.assertRegex(reached["x-request-id"], r"^[0-9a-f]{32}$")
        self.assertEqual(answer.headers["X-Request-ID"], reached["x-request-id"])
        self.assertEqual(reached["host"], f"127.0.0.1:{self.port}")

    def test_a_body_of_unknown_length_reaches_the_backend_whole(self) -> None:
        chunks = (b"x" * 1000 for _ in range(500))
        answer = requests.post(self.url, data=chunks, timeout=10)
        self.assertEqual(answer.json()["bytes"], 500_000)
        self.assertEqual(answer.json()["headers"]["content-length"], "500000")

    def test_a_request_whose_web_process_dies_is_repeated_if_that_is_safe(self) -> None:
        for path, status in (("/image/?dies", 200), ("/verify?dies", 200), ("/other/?dies", 502)):
            with self.subTest(path):
                answer = requests.post(self.url + path, data=b"x" * 50_000, timeout=10)
                self.assertEqual(answer.status_code, status)
                self.assertEqual(Echo.posted.count(path), 2 if status == 200 else 1)

    def test_a_body_that_nginx_cannot_store_is_refused_with_the_reason(self) -> None:
        bodies = self.service.run / "nginx" / "client_body"
        bodies.rename(bodies.with_name("away"))
        self.addCleanup(bodies.with_name("away").rename, bodies)
        small, large = (
            requests.post(self.url + "/image/?stored", data=b"x" * size, timeout=10)
            for size in (100_000, 900_000)
        )
        self.assertEqual(small.json()["bytes"], 100_000)
        self.assertEqual((large.status_code, large.headers["Retry-After"]), (503, "5"))
        self.assertIn("no room for the upload", large.json()["detail"])

    def test_a_body_that_says_it_is_too_large_is_refused(self) -> None:
        self.assert_error(self.post(b"Content-Length: 2000000\r\n\r\n"), 413)

    def test_a_body_without_end_is_refused_once_it_is_too_large(self) -> None:
        chunk = b"%x\r\n" % 100_000 + b"x" * 100_000 + b"\r\n"
        head = b"Transfer-Encoding: chunked\r\n\r\n"
        self.assert_error(self.post(head + chunk * 12), 413)

    def test_a_client_that_stops_sending_is_disconnected(self) -> None:
        for head in (
            b"Content-Length: 100\r\n\r\nx",
            b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n",
        ):
            with self.subTest(head):
                self.assertEqual(self.post(head), b"")
        self.assertNotIn("/image/", Echo.posted)

    def test_what_is_no_request_is_answered_in_json(self) -> None:
        long = b"x" * 70_000
        for data, status in {
            b"nonsense\r\n\r\n": 400,
            b"GET /../../etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n": 400,
            b"GET / HTTP/1.1\r\n\r\n": 400,
            b"GET / HTTP/1.1\r\nHost: a\r\nX: " + long + b"\r\n\r\n": 400,
            b"GET /" + long + b" HTTP/1.1\r\nHost: a\r\n\r\n": 414,
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n": 400,
            b"GET / HTTP/9.0\r\nHost: a\r\n\r\n": 505,
        }.items():
            with self.subTest(data[:40]):
                self.assert_error(self.say(data), status)

    def test_a_stored_image_is_sent_where_the_backend_says_so(self) -> None:
        answer = requests.get(f"{self.url}/stored/processed_faces/aa/face.jpg", timeout=10)
        self.assertEqual(answer.content, b"\xff\xd8 a picture")
        self.assertEqual(answer.headers["Content-Type"], "image/jpeg")
        self.assertEqual(answer.headers["X-Content-Type-Options"], "nosniff")

    def test_stored_files_are_not_reachable_from_outside(self) -> None:
        for path in (
            "/_media/processed_faces/aa/face.jpg",
            "/_media/secret",
            "/_media/",
            "/.error",
        ):
            with self.subTest(path):
                self.assert_error(self.say(f"GET {path} HTTP/1.0\r\n\r\n".encode()), 404)

    def test_a_folder_a_link_or_nothing_is_not_found(self) -> None:
        for name in ("", "aa/", "aa/none.jpg", "aa/link.jpg", "aa/face.jpg/"):
            with self.subTest(name):
                request = f"GET /stored/processed_faces/{name} HTTP/1.0\r\nHost: localhost\r\n\r\n"
                self.assert_error(self.say(request.encode()), 404)

    def test_without_its_backend_it_answers_502(self) -> None:
        # The websocket server's port, where nobody listens here.
        answer = self.say(b"GET /faces HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.assert_error(answer, 502)
        self.assertIn(b"\r\nretry-after: 5\r\n", answer.lower())

    def test_it_hides_its_version(self) -> None:
        self.assertEqual(requests.get(self.url, timeout=10).headers["Server"], "nginx")
