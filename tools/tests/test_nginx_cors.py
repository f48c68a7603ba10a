"""CORS: which web apps' origins nginx lets browsers use the service for."""

from typing import ClassVar

import requests

from tools.tests.test_nginx import NginxTests as _NginxTests

_APP = "https://app.example"


class CorsTests(_NginxTests):
    """The rules of nginx hold with origins too; these are the headers on top."""

    settings: ClassVar[dict[str, str]] = {
        "FACES_ALLOWED_ORIGINS": f"{_APP}:443/, http://localhost:3000",
    }

    def ask(self, path: str, method: str = "GET", **headers: str) -> requests.Response:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return requests.request(method, self.url + path, headers=names, timeout=10)

    def assert_allowed(self, answer: requests.Response, origin: str | None) -> None:
        self.assertEqual(answer.headers.get("Access-Control-Allow-Origin"), origin)
        self.assertNotIn("Access-Control-Allow-Credentials", answer.headers)
        self.assertIn("Origin", answer.headers.get("Vary", ""))
        exposed = answer.headers.get("Access-Control-Expose-Headers", "")
        for name in ("Location", "Retry-After", "X-Request-ID", "ETag"):
            self.assertEqual(name in exposed, origin is not None)

    def test_every_answer_to_a_listed_origin_can_be_read(self) -> None:
        for path in ("/image/", "/stored/processed_faces/aa/face.jpg", "/_media/x", "/faces"):
            for origin in (_APP, "http://localhost:3000"):
                with self.subTest(path=path):
                    self.assert_allowed(self.ask(path, Origin=origin), origin)

    def test_no_other_origin_can_read(self) -> None:
        for origin in ("https://evil.example", "http://app.example", "null", f"{_APP}.evil"):
            self.assert_allowed(self.ask("/image/", Origin=origin), None)
        self.assert_allowed(self.ask("/image/"), None)

    def test_a_preflight_is_answered(self) -> None:
        asked = {
            "Access_Control_Request_Method": "DELETE",
            "Access_Control_Request_Headers": "authorization, x-api-key, content-type",
            "Access_Control_Request_Private_Network": "true",
        }
        answer = self.ask("/image/x/", "OPTIONS", Origin=_APP, **asked)
        self.assertEqual((answer.status_code, answer.content), (204, b""))
        self.assertIn("DELETE", answer.headers["Access-Control-Allow-Methods"])
        self.assertIn("x-api-key", answer.headers["Access-Control-Allow-Headers"])
        self.assertEqual(answer.headers["Access-Control-Allow-Private-Network"], "true")
        self.assert_allowed(answer, _APP)

    def test_what_is_no_preflight_of_a_listed_origin_reaches_the_backend(self) -> None:
        asked = {"Access_Control_Request_Method": "DELETE"}
        for headers in ({"Origin": "https://evil.example", **asked}, {"Origin": _APP}, {}):
            answer = self.ask("/image/x/", "OPTIONS", **headers)
            self.assertEqual(answer.status_code, 501, "the backend of this test knows no OPTIONS")
            self.assertNotIn("Access-Control-Allow-Methods", answer.headers)


class AnyOriginTests(CorsTests):
    settings: ClassVar[dict[str, str]] = {"FACES_ALLOWED_ORIGINS": "*"}

    def assert_allowed(self, answer: requests.Response, origin: str | None) -> None:
        asked = answer.request.headers.get("Origin")
        super().assert_allowed(answer, "*" if asked else None)

    def test_what_is_no_preflight_of_a_listed_origin_reaches_the_backend(self) -> None:
        self.assertEqual(self.ask("/image/x/", "OPTIONS", Origin=_APP).status_code, 501)


del _NginxTests
