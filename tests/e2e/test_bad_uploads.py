"""Bad uploads through nginx and gunicorn: a 4xx in the contract's shape, and nothing is stored.

After every single one there is no row, no file, no job and no temporary file, and none of the
processes has printed a traceback.
"""

import json
import time
from collections.abc import Iterator
from typing import Any, ClassVar

import requests

from tests.support import hostile_files, raw_http, samples
from tests.support.raw_http import BOUNDARY, MULTIPART, Answer, form, part
from tests.support.stack import wait_until
from tests.support.stack_case import StackCase

NO_FILE = "No file was submitted."
NOT_AN_IMAGE = (
    "Upload a valid image. The file you uploaded was either not an image or a corrupted image."
)
EXTENSIONS = "gif, jpg, jpeg, png, webp, bmp, tif, tiff, heic, heif, avif"
MAX_BYTES = 3_000_000


class BadUploadCase(StackCase):
    options: ClassVar[dict[str, Any]] = {
        "nginx": True,
        "nginx_values": {
            "client_body_timeout": "2s",
            "client_header_timeout": "2s",
            "lingering_time": "2s",
        },
        # Small, so that the bound can be crossed without sending 100 MB.
        "settings": {"FACES_MAX_UPLOAD_BYTES": str(MAX_BYTES)},
    }
    shares = "bad uploads"

    def setUp(self) -> None:
        super().setUp()
        self.printed = {each.name: len(each.output()) for each in self.stack.processes()}

    def tearDown(self) -> None:
        for process in self.stack.processes():
            since = process.output()[self.printed[process.name] :]
            self.assertNotIn("Traceback", since, process.name)
        super().tearDown()

    def assert_nothing_stored(self) -> None:
        self.assertEqual(self.stack.submissions(), {})
        self.assertEqual(self.stack.query("SELECT * FROM analysis_analysis"), [])
        self.assertEqual(self.stack.stored_files(), set())
        with self.stack.redis.client() as client:
            self.assertEqual(client.keys("rq:job:*"), [])
            self.assertEqual(client.llen("rq:queue:uploads"), 0)
        # nginx unlinks a body when its request ends, which is a moment after its answer.
        wait_until(lambda: not self.stack.temporary_files(), "temporary files are gone")

    def assert_invalid(self, response: requests.Response, sentence: str | None = None) -> None:
        """400 with sentences under `image`, or exactly `sentence`."""
        self.assertEqual(response.status_code, 400, response.text[:300])
        body = response.json()
        self.assertEqual(list(body), ["image"])
        self.assertTrue(body["image"] and all(isinstance(text, str) for text in body["image"]))
        if sentence is not None:
            self.assertEqual(body, {"image": [sentence]})
        self.assert_nothing_stored()

    def assert_refused(self, answer: requests.Response | Answer, *statuses: int) -> None:
        """One of `statuses` (0: closed without a word), with `{"detail": "…"}`."""
        if isinstance(answer, Answer):
            status, body = answer.status, answer.body
        else:
            status, body = answer.status_code, answer.content
        self.assertIn(status, statuses, body[:300])
        if status:
            self.assertEqual(list(json.loads(body)), ["detail"], body[:300])
        self.assert_nothing_stored()

    def post(self, body: bytes, content_type: str = MULTIPART) -> requests.Response:
        return self.stack.request(
            "POST", "/image/", data=body, headers={"Content-Type": content_type}
        )

    def send(self, *pieces: bytes, half: bool = False) -> Answer:
        return raw_http.send(self.stack.nginx_port, pieces, half=half)


class BadFileTests(BadUploadCase):
    def test_each_bad_file_is_refused(self) -> None:
        table = hostile_files.table()
        self.assertGreater(len(table), 80)
        for row, (name, data) in table.items():
            with self.subTest(row, name=name, bytes=len(data)):
                self.assert_invalid(self.stack.post_image(data, name))

    def test_a_file_that_is_no_image_gets_the_contracts_sentence(self) -> None:
        for row in ("text", "html", "svg", "zeros", "png whose header lies", "one byte"):
            with self.subTest(row):
                name, data = hostile_files.table()[row]
                self.assert_invalid(self.stack.post_image(data, name), NOT_AN_IMAGE)

    def test_too_many_pixels_says_so(self) -> None:
        name, data = hostile_files.table()["png of 1.6 gigapixels of zeros"]
        response = self.stack.post_image(data, name)
        self.assert_invalid(response)
        self.assertIn("pixels", response.json()["image"][0])

    def test_a_bomb_is_refused_quickly(self) -> None:
        for row in ("png of 1.6 gigapixels of zeros", "png with a text that explodes"):
            with self.subTest(row):
                name, data = hostile_files.table()[row]
                began = time.monotonic()
                self.assert_invalid(self.stack.post_image(data, name))
                self.assertLess(time.monotonic() - began, 10)

    def test_an_empty_file_is_refused(self) -> None:
        self.assert_invalid(self.stack.post_image(b"", "a.jpg"))

    def test_each_bad_extension_is_refused_by_name(self) -> None:
        for name, shown in (
            ("a.txt", "txt"),
            ("a.svg", "svg"),
            ("a.exe", "exe"),
            ("a.jpg.exe", "exe"),
            ("a.PHP", "php"),
            ("a.jp2", "jp2"),
            ("a.pdf", "pdf"),
            ("a.svg ", "svg"),
        ):
            with self.subTest(name):
                response = self.stack.post_image(samples.no_face(), name)
                text = f"File extension “{shown}” is not allowed. Allowed extensions are: "
                self.assert_invalid(response, text + f"{EXTENSIONS}.")

    def test_a_file_over_the_bound_is_too_large(self) -> None:
        just_over = samples.no_face().ljust(MAX_BYTES + 1, b"\0")
        self.assert_refused(self.stack.post_image(just_over), 413)

    def test_a_request_far_over_the_bound_is_too_large(self) -> None:
        self.assert_refused(self.stack.post_image(bytes(MAX_BYTES + 200_000)), 413)


class BadFormTests(BadUploadCase):
    def test_a_form_without_the_file_says_so(self) -> None:
        jpeg = samples.no_face()
        for row, body in {
            "no part at all": form(),
            "an empty body": b"",
            "another field": form(part(b"picture", jpeg)),
            "the name in capitals": form(part(b"Image", jpeg)),
            "an empty name": form(part(b"", jpeg)),
            "a name with brackets": form(part(b"image[]", jpeg)),
            "only a comment": b"no boundary in here",
            "another boundary": form(part(b"image", jpeg)).replace(BOUNDARY.encode(), b"other"),
        }.items():
            with self.subTest(row):
                self.assert_invalid(self.post(body), NO_FILE)

    def test_a_field_that_is_not_a_file_is_refused(self) -> None:
        for row, body in {
            "text": form(part(b"image", b"hello", None)),
            "an image as text": form(part(b"image", samples.no_face(), None)),
            "a file without a name or content": form(part(b"image", b"", b"")),
        }.items():
            with self.subTest(row):
                self.assert_invalid(self.post(body))

    def test_two_files_are_refused(self) -> None:
        files = [part(b"image", samples.no_face()), part(b"image", samples.face())]
        self.assert_invalid(self.post(form(*files)), "Submit one file at a time.")

    def test_other_kinds_of_bodies_are_refused(self) -> None:
        for row, body, content_type in (
            ("json", b'{"image": "aGVsbG8="}', "application/json"),
            ("urlencoded", b"image=hello", "application/x-www-form-urlencoded"),
            ("the image itself", samples.no_face(), "image/jpeg"),
            ("text", b"hello", "text/plain"),
            ("no known type", b"hello", "x"),
        ):
            with self.subTest(row):
                self.assert_refused(self.post(body, content_type), 415)

    def test_a_broken_multipart_is_refused(self) -> None:
        whole = form(part(b"image", samples.no_face()))
        for row, body, content_type in (
            ("no boundary", whole, "multipart/form-data"),
            ("an empty boundary", whole, "multipart/form-data; boundary="),
            ("a very long boundary", whole, "multipart/form-data; boundary=" + "x" * 500),
            ("a boundary of another alphabet", whole, "multipart/form-data; boundary=\xe4\xf6"),
            ("garbage as base64", self.as_base64(b"!!!" * 50), MULTIPART),
        ):
            with self.subTest(row):
                response = self.post(body, content_type)
                self.assertIn(response.status_code, (400, 415), response.text[:300])
                self.assertIn(list(response.json()), (["detail"], ["image"]))
                self.assert_nothing_stored()

    def test_a_multipart_that_breaks_off_is_refused(self) -> None:
        whole = form(part(b"image", samples.no_face()))
        for length in (10, 60, 120, 200, len(whole) // 2, len(whole) - 400):
            with self.subTest(length=length):
                response = self.post(whole[:length])
                self.assertEqual(response.status_code, 400, response.text[:300])
                self.assertIn(list(response.json()), (["detail"], ["image"]))
                self.assert_nothing_stored()

    def test_too_many_parts_are_refused(self) -> None:
        fields = [part(b"field", b"x", None)] * 1500
        self.assert_refused(self.post(form(*fields)), 400)
        files = [part(b"other", b"x")] * 300
        self.assert_refused(self.post(form(*files)), 400)

    def as_base64(self, content: bytes) -> bytes:
        text = b"Content-Transfer-Encoding: base64\r\nContent-Disposition"
        return form(part(b"image", content).replace(b"Content-Disposition", text, 1))


class BadRequestTests(BadUploadCase):
    def test_a_body_over_100_mb_is_refused_by_its_length_alone(self) -> None:
        for extra in ({}, {"expect": "100-continue"}):
            with self.subTest(extra):
                length = str(100 * 1024 * 1024 + 1_000_000)
                head = raw_http.head(
                    "POST", "/image/", content_type=MULTIPART, content_length=length, **extra
                )
                self.assert_refused(self.send(head), 413)

    def test_a_length_that_is_none_is_refused(self) -> None:
        for length in ("-1", "1e3", "abc", "99999999999999999999999"):
            with self.subTest(length):
                head = raw_http.head(
                    "POST", "/image/", content_type=MULTIPART, content_length=length
                )
                self.assert_refused(self.send(head), 400, 413)

    def test_a_body_shorter_than_its_length_is_given_up(self) -> None:
        body = form(part(b"image", samples.no_face()))
        head = self.multipart_head(len(body) + 1000)
        for half in (True, False):
            with self.subTest(half=half):
                self.assert_refused(self.send(head, body, half=half), 0, 400, 408)

    def test_a_body_longer_than_its_length_is_cut(self) -> None:
        body = form(part(b"image", samples.no_face()))
        answer = self.send(self.multipart_head(len(body) // 2), body)
        self.assertEqual(answer.status, 400)
        self.assert_nothing_stored()

    def test_a_length_and_chunks_together_are_refused(self) -> None:
        head = raw_http.head(
            "POST",
            "/image/",
            content_type=MULTIPART,
            content_length="5",
            transfer_encoding="chunked",
        )
        self.assert_refused(self.send(head, b"5\r\nhello\r\n0\r\n\r\n"), 0, 400)

    def test_chunks_without_end_are_cut_off(self) -> None:
        def endless() -> Iterator[bytes]:
            yield self.chunked_head()
            yield chunk(part(b"image", samples.no_face())[:-2])
            while True:
                yield chunk(bytes(65536))

        self.assert_refused(raw_http.send(self.stack.nginx_port, endless()), 0, 413)

    def test_chunks_that_stop_coming_are_given_up(self) -> None:
        began = time.monotonic()
        answer = self.send(self.chunked_head(), chunk(part(b"image", samples.no_face())))
        self.assert_refused(answer, 0, 408)
        self.assertLess(time.monotonic() - began, 30)

    def test_broken_chunks_are_refused(self) -> None:
        for row, piece in {
            "no size": b"hello\r\n",
            "a negative size": b"-5\r\nhello\r\n0\r\n\r\n",
            "a huge size": b"ffffffffffffffffff\r\nhello\r\n",
        }.items():
            with self.subTest(row):
                answer = self.send(self.chunked_head(), piece)
                self.assert_refused(answer, 0, 400, 413)

    def test_headers_that_never_end_are_given_up(self) -> None:
        answer = self.send(b"POST /image/ HTTP/1.1\r\nHost: localhost\r\nX-Slow:")
        self.assert_refused(answer, 0, 400, 408)

    def test_huge_headers_are_refused(self) -> None:
        head = raw_http.head("POST", "/image/", x_big="x" * 100_000)
        self.assert_refused(self.send(head), 400)

    def test_a_wrong_host_is_refused(self) -> None:
        response = self.stack.post_image(samples.no_face(), headers={"Host": "evil.example"})
        self.assert_refused(response, 400)

    def test_wrong_methods_are_refused(self) -> None:
        for method, path in (
            ("PUT", "/image/"),
            ("PATCH", "/image/"),
            ("DELETE", "/image/"),
            ("POST", "/image/11111111-1111-4111-8111-111111111111/"),
            ("PUT", "/image/11111111-1111-4111-8111-111111111111"),
            ("POST", "/healthcheck/"),
            ("DELETE", "/readiness/"),
            ("TRACE", "/image/"),
        ):
            with self.subTest(method=method, path=path):
                self.assert_refused(self.stack.request(method, path), 405)

    def test_unknown_paths_are_not_found(self) -> None:
        for path in (
            "/nothing-here",
            "/images/",
            "/image/1",
            "/image/11111111-1111-4111-8111-111111111111",
            "/image/11111111-1111-4111-8111-111111111111/more",
            "/static/processed_faces/",
            "/static/processed_faces/11/11/11111111-1111-4111-8111-111111111111.jpg",
            "/static/originals/11/11/11111111-1111-4111-8111-111111111111.jpg",
            "/media/",
            "/db.sqlite3",
        ):
            with self.subTest(path):
                self.assert_refused(self.stack.get(path), 404)

    def test_paths_that_climb_reach_nothing(self) -> None:
        for path in (
            "/static/processed_faces/../../db.sqlite3",
            "/static/processed_faces/..%2f..%2fdb.sqlite3",
            "/static/processed_faces/%2e%2e/%2e%2e/db.sqlite3",
            "/static/processed_faces../../db.sqlite3",
            "/static/processed_faces/..\\..\\db.sqlite3",
            "/static/../../../../etc/passwd",
            "/static/processed_faces/\0/etc/passwd",
        ):
            with self.subTest(path):
                answer = self.send(raw_http.head("GET", path))
                self.assert_refused(answer, 400, 404)

    def multipart_head(self, length: int) -> bytes:
        return raw_http.head("POST", "/image/", content_type=MULTIPART, content_length=str(length))

    def chunked_head(self) -> bytes:
        return raw_http.head("POST", "/image/", content_type=MULTIPART, transfer_encoding="chunked")


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


class HostileNameTests(BadUploadCase):
    shares = ""  # what it uploads is stored

    def test_a_hostile_name_never_becomes_a_path(self) -> None:
        for name in (
            b"../../../../etc/passwd.jpg",
            b"..\\..\\windows\\win.jpg",
            b"/etc/cron.d/job.jpg",
            b"C:\\boot.jpg",
            b"....//....//a.jpg",
            b"%2e%2e%2f%2e%2e%2fa.jpg",
            b"a\0.jpg",
            b"a.php\0.jpg",
            b"a\r\nX-Injected: 1.jpg",
            b"a\x1b[2J\x07\x08.jpg",
            b"\xff\xfe\x00a.jpg",
            "‮gpj.exe.jpg".encode(),
            "фото 📷 é.jpg".encode(),
            b"a;rm -rf $HOME`id`|x.jpg",
            b"<script>alert(1)</script>.jpg",
            b"'; DROP TABLE submissions_submission; --.jpg",
            b"a.php.jpg",
            b".htaccess.jpg",
            b"con.jpg",
            b" .jpg",
            b"a" * 300 + b".jpg",
            b"a" * 20_000 + b".jpg",
            b"a/" * 2000 + b"a.jpg",
        ):
            with self.subTest(name=name[:60]):
                self.assert_safe(self.post(form(part(b"image", samples.no_face(), name))))

    def assert_safe(self, response: requests.Response) -> None:
        """Refused like any other, or stored under a name of our own and nowhere else."""
        if response.status_code != 202:
            self.assertEqual(response.status_code, 400, response.text[:300])
            self.assertIn(list(response.json()), (["detail"], ["image"]))
            return
        self.assertNotIn("X-Injected", response.headers)
        id = response.json()["id"]
        self.stack.wait_ended([id])
        row = self.stack.submissions()[id]
        self.assertEqual(row["image"], f"originals/{id[:2]}/{id[2:4]}/{id}.jpg")
        stored = {each["image"] for each in self.stack.submissions().values()}
        self.assertEqual(self.stack.stored_files(), stored)
