"""The function on real faces, against a real server: what it posts, and what goes wrong."""

import json
import logging
import threading
import time
import unittest
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import faceengine
from lambdaworker import batch, handler, sources
from lambdaworker.batch import Result, SourcesLeft
from lambdaworker.options import Options
from lambdaworker.tests import service as services
from lambdaworker.tests.service import Answer, event, source
from tests.support import hostile_files, image_factories, photographs, samples
from wire.facedetection import (
    NOT_PROCESSING,
    Capability,
    Payload,
    ShapeError,
    read_callback,
    read_payload,
)

FAST = Options(retry_delay_s=0.001, margin_s=0.0, attempts=3, detector=samples.DETECTOR)

ALL = tuple(Capability)


class FunctionCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.obama = image_factories.encoded(image_factories.portrait(width=300))
        cls.two = image_factories.encoded(image_factories.side_by_side(width=300))

    obama: bytes
    two: bytes

    def setUp(self) -> None:
        self.service = self.enterContext(services.running())
        self.logs = self.enterContext(self.assertLogs("lambdaworker", "INFO"))

    def tearDown(self) -> None:
        said = "\n".join(self.logs.output)
        for secret in ("secret-token", "signature"):
            self.assertNotIn(secret, said)

    def run_(self, payload: Payload, options: Options = FAST, *, left_s: float = 60.0) -> Result:
        return batch.run(read_payload(payload), options, left_s)

    def photo(self, pk: int, body: bytes | None = None, type: str = "photo") -> Any:
        body = self.obama if body is None else body
        return source(pk, self.service.photo(f"{type}-{pk}.jpg", body), type)


class PostedTests(FunctionCase):
    def test_an_old_services_payload_gets_exactly_the_contracts_callback(self) -> None:
        payload = event(
            self.service,
            self.photo(1),
            self.photo(2, self.two),
            self.photo(3, image_factories.encoded(image_factories.portrait(width=20)), "reference"),
        )
        self.assertEqual(self.run_(payload)["done"], 3)
        posted = self.service.posted()
        self.assertEqual(set(posted), {"photo/1", "photo/2", "reference/3"})
        for pk, kind, count in ((1, "photo", 1), (2, "photo", 2), (3, "reference", 0)):
            body = posted[f"{kind}/{pk}"]
            self.assertEqual(list(body), ["token", "encodings"])
            self.assertEqual(body["token"], f"secret-token-{pk}")
            self.assertEqual([len(each) for each in body["encodings"]], [128] * count)
        (face,) = faceengine.find_faces(self.obama)
        assert face.encoding is not None
        self.assertEqual(posted["photo/1"]["encodings"], [face.encoding.tolist()])
        self.assertEqual(self.service.count("GET", "encodings"), 0)

    def test_a_service_that_asks_for_more_gets_boxes_and_the_model(self) -> None:
        self.run_(event(self.service, self.photo(1, self.two), accepts=ALL))
        body = read_callback(self.service.posted()["photo/1"])
        found = [faceengine.Box(**face["box"]) for face in body["faces"]]
        self.assertEqual(found, [face.box for face in faceengine.find_faces(self.two)])
        self.assertEqual(body["model"], faceengine.MODEL)

    def test_two_engines_at_once_find_what_one_finds(self) -> None:
        several = [self.photo(pk, self.two) for pk in range(1, 7)]
        self.run_(event(self.service, *several), replace(FAST, memory_mb=2 * 1769))
        self.assertEqual(len({str(b["encodings"]) for b in self.service.posted().values()}), 1)

    def test_sources_are_downloaded_side_by_side(self) -> None:
        # Each answer waits until all four are asked for.
        together = threading.Barrier(4, timeout=20)
        self.service.on_request = lambda path: together.wait() if ".jpg" in path else None
        small = image_factories.encoded(image_factories.portrait(width=20))
        several = [self.photo(pk, small) for pk in range(4)]
        self.assertEqual(self.run_(event(self.service, *several))["done"], 4)


class BadSourceTests(FunctionCase):
    def test_one_bad_source_never_costs_the_others(self) -> None:
        gone = source(2, f"{self.service.url}/gone.jpg")
        self.service.answers["/gone.jpg"] = [Answer(404)]
        payload = event(
            self.service,
            self.photo(1),
            gone,
            self.photo(3, b"not an image"),
            self.photo(4, self.obama[: len(self.obama) // 2]),
            source(5, "http://169.254.169.254/latest/meta-data/"),
            self.photo(6),
        )
        result = self.run_(payload)
        self.assertEqual(result["done"], 2)
        failed = {each["pk"]: each["reason"] for each in result["failed"]}
        self.assertEqual(set(failed), {2, 3, 4, 5})
        self.assertIn("404", failed[2])
        said = "\n".join(self.logs.output)
        for pk in failed:
            self.assertIn(f"failed photo={pk}", said)
        # An old service gets nothing for them: "no faces" would be recorded as the result.
        self.assertEqual(set(self.service.posted()), {"photo/1", "photo/6"})

    def test_a_service_that_understands_gets_the_reason_of_a_missing_result(self) -> None:
        self.service.answers["/gone.jpg"] = [Answer(403)]
        gone = source(1, f"{self.service.url}/gone.jpg")
        self.run_(event(self.service, gone, self.photo(2, b"not an image"), accepts=ALL))
        posted = {key: read_callback(body)["error"] for key, body in self.service.posted().items()}
        self.assertEqual([e["permanent"] for e in posted.values()].count(True), 1)
        self.assertFalse(posted["photo/1"]["permanent"])
        self.assertTrue(posted["photo/2"]["permanent"])

    def test_files_that_break_decoders_are_failures_of_their_own(self) -> None:
        bad = [data for _, data in hostile_files.table().values()]
        several = [self.photo(pk, data) for pk, data in enumerate(bad)]
        result = self.run_(event(self.service, *several, self.photo(999)))
        self.assertEqual(result["done"] + len(result["failed"]), len(bad) + 1)
        self.assertIn("photo/999", self.service.posted())

    def test_too_many_pixels_or_bytes_are_refused_before_they_take_memory(self) -> None:
        options = replace(FAST, max_image_pixels=10_000)
        (failed,) = self.run_(event(self.service, self.photo(1)), options)["failed"]
        self.assertIn("pixels", failed["reason"])
        options = replace(FAST, max_download_bytes=1000)
        (failed,) = self.run_(event(self.service, self.photo(1)), options)["failed"]
        self.assertIn("1000 bytes", failed["reason"])

    def test_a_photo_that_drips_ends_in_time(self) -> None:
        url = self.service.photo("slow.jpg", self.obama)
        self.service.answers["/slow.jpg"] = [Answer(body=self.obama, drip_s=0.02)]
        options = replace(FAST, download_timeout_s=0.3, attempts=1)
        with self.assertRaises(SourcesLeft) as raised:
            self.run_(event(self.service, source(1, url), self.photo(2)), options)
        (failed,) = raised.exception.result["failed"]
        self.assertEqual((failed["pk"], failed["again"]), (1, True))
        self.assertIn("photo/2", self.service.posted())

    def test_a_redirect_is_followed_within_the_own_network_but_not_for_ever(self) -> None:
        url = self.service.photo("real.jpg", self.obama)
        self.service.answers["/moved.jpg"] = [Answer(302, headers={"Location": url})]
        round_ = {"Location": f"{self.service.url}/round.jpg"}
        self.service.answers["/round.jpg"] = [Answer(307, headers=round_)]
        self.service.answers["/file.jpg"] = [
            Answer(302, headers={"Location": "file:///etc/passwd"})
        ]
        metadata = {"Location": "http://169.254.169.254/"}
        self.service.answers["/metadata.jpg"] = [Answer(302, headers=metadata)]
        names = ("moved", "round", "file", "metadata")
        several = [source(n, f"{self.service.url}/{name}.jpg") for n, name in enumerate(names)]
        result = self.run_(event(self.service, *several))
        self.assertEqual(result["done"], 1)
        self.assertEqual([each["again"] for each in result["failed"]], [False] * 3)

    def test_the_runtime_api_is_not_asked(self) -> None:
        place = self.service.url.removeprefix("http://")
        options = replace(FAST, runtime_api=place.replace("127.0.0.1", "localhost"))
        with patch.object(sources, "_post"):
            (failed,) = self.run_(event(self.service, self.photo(1)), options)["failed"]
        self.assertIn("not asked", failed["reason"])
        self.assertEqual(self.service.asked, [])


class CallbackTests(FunctionCase):
    def test_a_5xx_a_429_and_a_broken_connection_are_tried_again(self) -> None:
        for pk, first in enumerate(
            (Answer(500), Answer(503), Answer(429), Answer(0, breaks_off=True)), 1
        ):
            with self.subTest(first.status):
                self.service.callback(pk, first, Answer(200))
                self.assertEqual(self.run_(event(self.service, self.photo(pk)))["done"], 1)
                self.assertEqual(self.service.count("POST", f"/{pk}/"), 2)

    def test_retry_after_is_heeded(self) -> None:
        self.service.callback(1, Answer(503, headers={"Retry-After": "7"}), Answer(200))
        with patch("lambdaworker.sources.time.sleep") as sleep:
            self.assertEqual(self.run_(event(self.service, self.photo(1)))["done"], 1)
        sleep.assert_called_once_with(7.0)

    def test_other_4xx_are_not_tried_again_and_do_not_fail_the_invocation(self) -> None:
        for pk, status in enumerate((401, 403, 404, 413), 1):
            with self.subTest(status):
                self.service.callback(pk, Answer(status))
                (failed,) = self.run_(event(self.service, self.photo(pk)))["failed"]
                self.assertEqual((failed["pk"], failed["again"]), (pk, False))
                self.assertEqual(self.service.count("POST", f"/{pk}/"), 1)

    def test_a_source_that_is_done_already_does_no_harm(self) -> None:
        not_processing = Answer(400, b'{"detail": "This is not being processed."}')
        self.service.callback(1, not_processing)
        self.service.callback(2, Answer(400, b"<html>"))
        result = self.run_(event(self.service, self.photo(1), self.photo(2)))
        self.assertEqual((result["not_wanted"], result["failed"]), (2, []))

    def test_a_body_that_is_refused_is_a_failure(self) -> None:
        self.service.callback(1, Answer(400, b'{"encodings": ["At most 1000 are allowed."]}'))
        (failed,) = self.run_(event(self.service, self.photo(1)))["failed"]
        self.assertIn("400", failed["reason"])

    def test_a_service_that_stays_down_makes_the_invocation_fail(self) -> None:
        self.service.callback(1, Answer(500))
        with self.assertRaises(SourcesLeft) as raised:
            self.run_(event(self.service, self.photo(1), self.photo(2)))
        self.assertEqual(self.service.count("POST", "/1/"), FAST.attempts)
        result = raised.exception.result
        self.assertEqual((result["done"], result["failed"][0]["pk"]), (1, 1))
        self.assertIn('"pk": 1', str(raised.exception))

    def test_a_repeated_invocation_does_only_what_is_left(self) -> None:
        payload = event(self.service, self.photo(1), self.photo(2), accepts=ALL)
        self.service.callback(1, Answer(500), method="POST")
        with self.assertRaises(SourcesLeft):
            self.run_(payload)
        done = Answer(400, json.dumps({"detail": NOT_PROCESSING}).encode())
        self.service.callback(2, done, method="GET")
        self.service.callback(1, Answer(200), method="POST")
        self.service.asked.clear()
        result = self.run_(payload)
        self.assertEqual((result["done"], result["not_wanted"]), (1, 1))
        self.assertEqual(self.service.count("GET", "photo-2.jpg"), 0)
        self.assertEqual(list(self.service.posted()), ["photo/1"])

    def test_a_400_of_a_proxy_or_a_wrong_host_is_not_taken_for_a_done_source(self) -> None:
        self.service.callback(1, Answer(400, b'{"detail": "Bad request."}'))
        (failed,) = self.run_(event(self.service, self.photo(1), accepts=ALL))["failed"]
        self.assertIn("400", failed["reason"])

    def test_the_question_before_is_a_help_and_no_condition(self) -> None:
        self.service.callback(1, Answer(405), method="GET")
        self.service.callback(2, Answer(0, breaks_off=True), method="GET")
        result = self.run_(event(self.service, self.photo(1), self.photo(2), accepts=ALL))
        self.assertEqual(result["done"], 2)


class TimeTests(FunctionCase):
    def test_what_no_time_is_left_for_is_not_begun(self) -> None:
        with self.assertRaises(SourcesLeft) as raised:
            self.run_(event(self.service, self.photo(1), self.photo(2)), left_s=-1)
        self.assertEqual(len(raised.exception.result["failed"]), 2)
        self.assertEqual(self.service.asked, [])

    def test_it_stops_before_its_limit_while_a_server_hangs(self) -> None:
        self.service.on_request = lambda path: time.sleep(1) if "/1/" in path else None
        with self.assertRaises(SourcesLeft) as raised:
            self.run_(event(self.service, self.photo(1), self.photo(2)), left_s=0.7)
        self.assertEqual([each["pk"] for each in raised.exception.result["failed"]], [1])


class Context:
    aws_request_id = "an-id"

    def get_remaining_time_in_millis(self) -> int:
        return 30_000


class HandlerTests(unittest.TestCase):
    def test_a_malformed_event_raises_before_anything_is_done(self) -> None:
        good = source(1, "http://127.0.0.1:1/photo.jpg")
        events: tuple[Any, ...] = (
            None,
            [],
            {},
            {"api_url": "https://faces.example"},
            {"api_url": "https://faces.example", "sources": []},
            {"api_url": "ftp://faces.example", "sources": [good]},
            {"api_url": "https://faces.example", "sources": [good, {**good, "pk": "2"}]},
            {"api_url": "https://faces.example", "sources": [{**good, "type": "person"}]},
            {"api_url": "https://faces.example", "sources": [{**good, "photo_url": "file:///x"}]},
            {"api_url": "https://faces.example", "sources": [{**good, "token": ""}]},
        )
        for bad in events:
            with self.subTest(str(bad)[:70]), self.assertRaises(ShapeError) as raised:
                handler.handler(bad, Context())
            self.assertNotIn("secret-token", str(raised.exception))

    def test_it_returns_what_became_of_the_sources(self) -> None:
        with services.running() as service:
            url = service.photo("a.jpg", photographs.read("obama.jpg"))
            result = handler.handler(event(service, source(1, url)), Context())
        self.assertEqual(result, {"sources": 1, "done": 1, "not_wanted": 0, "failed": []})

    def test_libraries_that_log_whole_requests_are_silent_at_any_level(self) -> None:
        self.assertEqual(logging.getLogger("httpcore.connection").getEffectiveLevel(), 30)

    def test_options_come_from_the_environment(self) -> None:
        options = handler.options_from(
            {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "3538", "FACES_DOWNLOAD_TIMEOUT_S": "2.5"}
        )
        self.assertEqual((options.engines, options.download_timeout_s), (2, 2.5))
        self.assertGreater(Options().max_pixels, 24_000_000)
        self.assertLess(Options().max_pixels * 8, 512 << 20)
