"""HTTP responses to requests that do not open a websocket."""

import json

from wsserver.tests.base import UPGRADE, ServerTestCase, http


class Http(ServerTestCase):
    async def test_an_unknown_path_is_not_found(self) -> None:
        async with self.serving() as address:
            for path in ("/", "/face", "/faces/x", "/faces//", "/healthcheck/x", "http://x/faces"):
                status, headers, body = await http(address, path, UPGRADE)
                self.assertEqual((status, body), (404, '{"detail": "Not found."}'), path)
                self.assertEqual(headers["content-type"], "application/json")

    async def test_plain_http_is_answered_with_426(self) -> None:
        async with self.serving() as address:
            for path in ("/faces", "/faces/", "/faces?since=1"):
                status, headers, body = await http(address, path)
                self.assertEqual((status, headers["upgrade"]), (426, "websocket"))
                self.assertIn("websocket", json.loads(body)["detail"])

    async def test_an_invalid_option_is_named_in_a_400(self) -> None:
        async with self.serving() as address:
            for option, value in {
                "outcomes": "faces,nonsense",
                "submission": "42",
                "since": "yesterday",
                "colour": "red",
            }.items():
                status, headers, body = await http(address, f"/faces?{option}={value}", UPGRADE)
                self.assertEqual((status, headers["content-type"]), (400, "application/json"))
                self.assertEqual(list(json.loads(body)), [option])

    async def test_an_invalid_handshake_is_answered_with_json(self) -> None:
        async with self.serving() as address:
            for change, expected in (
                ({"Sec-WebSocket-Key": "short"}, 400),
                ({"Sec-WebSocket-Version": "7"}, 400),
                ({"Connection": "close"}, 426),
            ):
                status, _headers, body = await http(address, "/faces", {**UPGRADE, **change})
                self.assertEqual(status, expected)
                self.assertEqual(list(json.loads(body)), ["detail"])

    async def test_another_method_is_not_allowed(self) -> None:
        async with self.serving() as address:
            status, _headers, body = await http(address, "/faces", UPGRADE, method="POST")
            self.assertEqual((status, list(json.loads(body))), (405, ["detail"]))

    async def test_the_health_check_reports_liveness_and_readiness(self) -> None:
        async with self.serving() as address:
            for path in ("/healthcheck", "/healthcheck/", "/healthcheck?ready"):
                status, headers, body = await http(address, path)
                self.assertEqual((status, body), (200, "OK"))
                self.assertEqual(headers["content-type"], "text/plain; charset=utf-8")
