"""nginx below a path, whether the proxy in front keeps the path or strips it."""

from typing import ClassVar

import requests

from tools.tests.test_nginx import NginxTests as _NginxTests

_KEPT = {
    "/": "/",
    "/?a=%2F": "/?a=%2F",
    "/image/": "/image/",
    "/image?x": "/image?x",
    "/a//b%20c/%2F?q": "/a//b%20c/%2F?q",
    "/api/v2/photos/albums/1/archives/": "/api/v2/photos/albums/1/archives/",
    "/static/processed_faces/aa/x.jpg": "/static/processed_faces/aa/x.jpg",
}


class BasePathTests(_NginxTests):
    """The rules of nginx hold below a path too: the tests of the base class strip it."""

    base: ClassVar[str] = "/faces-app"
    settings: ClassVar[dict[str, str]] = {"FACES_BASE_PATH": "/faces-app"}

    def reached(self, path: str, **headers: str) -> str:
        """The path that reaches the backend."""
        return str(requests.get(self.url + path, headers=headers, timeout=10).json()["path"])

    def test_the_path_is_stripped_and_the_rest_is_untouched(self) -> None:
        for sent, expected in _KEPT.items():
            self.assertEqual(self.reached(self.base + sent), expected)
        self.assertEqual(self.reached(self.base), "/")
        self.assertEqual(self.reached(f"{self.base}?x=1"), "/?x=1")

    def test_a_proxy_may_have_stripped_it(self) -> None:
        for path in _KEPT:
            self.assertEqual(self.reached(path), path)

    def test_a_longer_name_is_another_path(self) -> None:
        for path in (f"{self.base}ed/x", f"/x{self.base}/y"):
            self.assertEqual(self.reached(path), path)

    def test_a_file_is_sent_below_the_path(self) -> None:
        path = f"{self.base}/stored/processed_faces/aa/face.jpg"
        answer = requests.get(self.url + path, timeout=10)
        self.assertEqual(answer.content, b"\xff\xd8 a picture")

    def test_a_large_upload_below_the_path_asks_first(self) -> None:
        path = f"{self.base}/verify"
        answer = requests.post(self.url + path, data=b"x" * 200_000, timeout=10)
        self.assertEqual((answer.json()["path"], answer.json()["bytes"]), ("/verify", 200_000))

    def test_internal_locations_stay_internal(self) -> None:
        for path in (
            "/_media/secret",
            "/%5Fmedia/secret",
            "/image/../_media/secret",
            "//_media/secret",
            "/.error",
            "/_upload_preflight",
            "/%5fupload_preflight",
            "/.upload_preflight",
        ):
            for base in (self.base, self.base.replace("a", "%61"), f"/x/..{self.base}"):
                with self.subTest(base + path):
                    line = f"GET {base}{path} HTTP/1.0\r\nHost: localhost\r\n\r\n"
                    self.assert_error(self.say(line.encode()), 404)

    def test_the_websocket_is_below_the_path(self) -> None:
        # Its server does not run here, and nginx says so; the backend would answer 200.
        for path in (f"{self.base}/faces", f"{self.base}/faces/", "/faces"):
            answer = requests.get(self.url + path, headers={"Upgrade": "websocket"}, timeout=10)
            self.assertEqual(answer.status_code, 502, path)


class NameOfTheWebsocketTests(BasePathTests):
    """`/faces`, which is also the path of the websocket."""

    base: ClassVar[str] = "/faces"
    settings: ClassVar[dict[str, str]] = {"SERVICE_URL": "https://home.example/faces/"}

    def test_without_its_backend_it_answers_502(self) -> None:
        # Without an upgrade /faces is the page here.
        self.assertEqual(self.reached("/faces"), "/")


class DeepPathTests(BasePathTests):
    base: ClassVar[str] = "/a.b/c"
    settings: ClassVar[dict[str, str]] = {"FACES_BASE_PATH": "a.b/c/"}


del _NginxTests
