"""Upload preflight through nginx: without a key, with keys of all kinds, by staff."""

import io
import json
import socket
import time
import zipfile
from typing import Any, ClassVar

import requests

from tests.support import raw_http, samples
from tests.support.raw_http import MULTIPART, form, part
from tests.support.stack import wait_until
from tests.support.stack_case import StackCase

_IMAGE_BYTES = 60_000_000
_ARCHIVE_BYTES = 80_000_000
_STRANGERS_BYTES = 50_000_000
_PIECE = bytes(50_000)
_PASSWORD = "correct horse battery"

# One call, for each starts an interpreter: people, an album, and keys, as JSON.
_MAKE_CAST = f"""
import json
from django.conf import settings
from django.contrib.auth.models import User
from backend.clients import keys
from backend.clients.models import Client
from backend.photos.models import Album

def key(name, scopes):
    client = Client.objects.create(name=name)
    return keys.create_key(client, name=name, scopes=scopes, actor="test")

User.objects.create_superuser("zoe", password="{_PASSWORD}")
User.objects.create_user("alice", password="{_PASSWORD}")
revoked, text = key("carol", ["upload"])
keys.revoke_key(revoked, actor="test")
print(json.dumps({{
    "album": Album.objects.create(title="Summer", date="2026-07-01").pk,
    "good": key("alice", ["upload", "read"])[1],
    "revoked": text,
    "uploads": settings.FILE_UPLOAD_TEMP_DIR,
    "reader": key("dave", ["read"])[1],
}}))
"""


class GateTests(StackCase):
    options: ClassVar[dict[str, Any]] = {
        "nginx": True,
        "workers": 1,
        "nginx_values": {"lingering_time": "2s"},
        "settings": {
            "FACES_REQUIRE_API_KEY": "true",
            "FACES_MAX_UPLOAD_BYTES": str(_IMAGE_BYTES),
            "FACES_MAX_ARCHIVE_BYTES": str(_ARCHIVE_BYTES),
        },
    }
    made: ClassVar[dict[str, str]]
    archives: ClassVar[str]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.made = json.loads(cls.stack.manage("shell", "-c", _MAKE_CAST).stdout.splitlines()[-1])
        cls.archives = f"/api/v2/photos/albums/{cls.made['album']}/archives/"

    def slowly(
        self, path: str, pause_s: float = 0.1, /, **headers: str
    ) -> tuple[int, int, dict[str, str], Any]:
        """Send until there is an answer: bytes of the body sent, status, headers, body."""
        head = raw_http.head("POST", path, content_type=MULTIPART, **headers)
        chunked = "transfer_encoding" in headers
        piece = b"%x\r\n%s\r\n" % (len(_PIECE), _PIECE) if chunked else _PIECE
        deadline, sent, answer = time.monotonic() + 60, 0, b""
        with socket.create_connection(("127.0.0.1", self.stack.nginx_port), 60) as connection:
            connection.sendall(head)
            while not answer and sent < _STRANGERS_BYTES:
                self.assertLess(time.monotonic(), deadline)
                connection.settimeout(pause_s)
                try:
                    answer = connection.recv(65536)
                except TimeoutError:
                    connection.settimeout(60)
                    connection.sendall(piece)
                    sent += len(piece)
            self.assertEqual(self.stack.temporary_files(), set())
        first, _, rest = answer.decode().partition("\r\n")
        lines, _, body = rest.partition("\r\n\r\n")
        named = dict(line.lower().split(": ", 1) for line in lines.split("\r\n"))
        return sent, int(first.split()[1]), named, json.loads(body)

    def assert_stopped(self, status: int, path: str = "/image/", **headers: str) -> dict[str, str]:
        length = {} if "transfer_encoding" in headers else {"content_length": str(_STRANGERS_BYTES)}
        sent, told, named, body = self.slowly(path, **length, **headers)
        self.assertEqual((told, list(body)), (status, ["detail"]), body)
        self.assertLess(sent, _STRANGERS_BYTES / 10)
        self.assertRegex(named["x-request-id"], r"^[0-9a-f]{32}$")
        self.assertEqual(self.stack.temporary_files(), set())
        return named

    def test_a_request_without_a_key_is_refused_while_little_of_the_body_is_sent(self) -> None:
        for headers in ({}, {"transfer_encoding": "chunked"}, {"x_api_key": "wrong"}):
            with self.subTest(headers):
                self.assertEqual(self.assert_stopped(401, **headers)["www-authenticate"], "bearer")

    def test_so_is_a_revoked_key_and_one_for_something_else(self) -> None:
        self.assert_stopped(401, x_api_key=self.made["revoked"])
        self.assert_stopped(403, "/face_encodings/batch", x_api_key=self.made["reader"])

    def test_elsewhere_too(self) -> None:
        self.assert_stopped(404, "/nothing/")
        self.assert_stopped(403, "/members/login/")
        self.assert_stopped(403, "/admin/login/")
        self.assert_stopped(401, self.archives)
        self.assert_stopped(413, "/api/facedetection/encodings/photo/1/")

    def test_expect_100_continue_is_refused_before_the_body(self) -> None:
        length = str(_STRANGERS_BYTES)
        # Such a client waits for the answer, however long a busy machine takes.
        asked = {"content_length": length, "expect": "100-continue"}
        sent, status, _, _ = self.slowly("/image/", 15, **asked)
        self.assertEqual((sent, status), (0, 401))

    def test_a_good_key_sends_large_bodies_of_any_kind(self) -> None:
        # An image, and then nothing for long.
        image = samples.no_face().ljust(3_000_000, b"\0")
        body = form(part(b"image", image))
        for data, extra in ((body, {}), (iter([body]), {}), (body, {"Expect": "100-continue"})):
            headers = {"Content-Type": MULTIPART, "X-Api-Key": self.made["good"], **extra}
            answer = self.stack.request("POST", "/image/", data=data, headers=headers)
            self.assertEqual(answer.status_code, 202, answer.text)

    def test_the_preflight_is_not_reachable_from_outside(self) -> None:
        paths = (
            "/_upload_preflight",
            "//_upload_preflight",
            "/%5fupload_preflight",
            "/x/../_upload_preflight",
            "/.upload_preflight",
            "/_feed_token",
            "/%5Ffeed_token",
            "/.feed_token",
        )
        for path in paths:
            with self.subTest(path):
                head = raw_http.head(
                    "GET", path, x_original_uri="/image/", x_api_key=self.made["good"]
                )
                answer = raw_http.send(self.stack.nginx_port, [head])
                self.assertEqual(answer.status, 404, answer.body)

    def test_one_connection_goes_on_after_a_small_refusal(self) -> None:
        with requests.Session() as session:
            for _ in range(3):
                answer = session.post(f"{self.stack.url}/image/", data=b"x" * 1000, timeout=20)
                self.assertEqual(answer.status_code, 401)

    def test_only_staff_may_send_an_archive_larger_than_any_image(self) -> None:
        archive = _zipped(_IMAGE_BYTES + 5_000_000)
        sent = self.send(archive, "zoe")
        self.assertEqual(sent.status_code, 202, sent.text)
        self.assertEqual(self.send(archive, "alice").status_code, 403)
        too_large = self.send(bytes(_ARCHIVE_BYTES + 200_000), "zoe")
        self.assertEqual((too_large.status_code, list(too_large.json())), (413, ["detail"]))
        wait_until(lambda: not self.stack.temporary_files(), "temporary files are gone")

    def test_uploads_are_read_beside_the_media(self) -> None:
        self.assertEqual(self.made["uploads"], str(self.stack.storage / "run" / "uploads"))

    def send(self, archive: bytes, name: str) -> requests.Response:
        url, login = self.stack.url + self.archives, (name, _PASSWORD)
        return requests.post(url, files={"file": ("a.zip", archive)}, auth=login, timeout=60)

    def test_while_the_backend_is_away_a_large_body_is_answered_as_a_small_one(self) -> None:
        self.addCleanup(self.stack.wait_ready)
        self.addCleanup(self.stack.web.start)
        self.stack.web.stop()
        named = self.assert_stopped(502, x_api_key=self.made["good"])
        self.assertEqual(named["retry-after"], "5")


def _zipped(size: int) -> bytes:
    with io.BytesIO() as file:
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("one.jpg", samples.no_face())
            archive.writestr("notes.txt", bytes(size))
        return file.getvalue()
