"""What is submitted to Lambda, when, and how often: against a server that speaks as Lambda does."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from typing import Any
from unittest.mock import patch
from urllib.parse import unquote

from django.core.files.base import ContentFile
from django.core.management import call_command
from django.test import Client, SimpleTestCase, TestCase, override_settings
from django.utils import timezone

from backend.common import checks
from backend.common.jobs.models import Status
from backend.photos.extraction import dispatch
from backend.photos.extraction.aws_lambda import client, submission
from backend.photos.extraction.aws_lambda.submission import token_hash
from backend.photos.models import Photo, Reference
from backend.photos.tests import factories
from tests.support import samples
from wire.facedetection import read_payload

ARN = "arn:aws:lambda:eu-west-1:123456789012:function:faces"


class Requests(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        payload = self.rfile.read(int(self.headers["Content-Length"]))
        server: Any = self.server
        status = 413 if len(payload) > server.max_bytes else server.status
        kind = self.headers.get("X-Amz-Invocation-Type")
        if status == 202:
            server.events.append((unquote(self.path), kind, json.loads(payload)))
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def lambda_service() -> Iterator[Any]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Requests)
    server.events, server.status, server.max_bytes = [], 202, 1 << 20
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        with (
            override_settings(
                FACES_PHOTOS_EXTRACTION="auto",
                FACEDETECTION_LAMBDA_ARN=ARN,
                AWS_ENDPOINT_URL_LAMBDA=url,
                FACEDETECTION_LAMBDA_BATCH_SIZE=3,
                FACEDETECTION_API_URL="https://faces.example",
            ),
            patch.dict("os.environ", {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y"}),
        ):
            yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def ready(source: Any) -> Any:
    """As a worker leaves it that made the pictures."""
    source.file.save("picture.jpg", ContentFile(samples.no_face()), save=False)
    type(source).objects.filter(pk=source.pk).update(
        status=Status.DONE, processed_at=timezone.now(), file=source.file.name
    )
    source.refresh_from_db()
    return source


class DispatchCase(TestCase):
    def setUp(self) -> None:
        self.server = self.enterContext(lambda_service())
        album = factories.album()
        image = samples.no_face()
        self.photos = [ready(factories.photo(album, image + b" " * n)) for n in range(5)]
        self.reference = ready(factories.reference(factories.member(), image))

    def submit(self, **options: Any) -> submission.SubmissionReport:
        return submission.submit_due(on_progress=lambda count: None, **options)

    def sources(self) -> list[tuple[str, int]]:
        return [(s["type"], s["pk"]) for _, _, e in self.server.events for s in e["sources"]]

    def trigger(self) -> str:
        out = StringIO()
        call_command("trigger_facedetection_lambda", stdout=out, stderr=out)
        return out.getvalue()


class SubmittedTests(DispatchCase):
    def test_everything_that_waits_goes_out_in_batches_the_references_first(self) -> None:
        done = self.submit()
        self.assertEqual((done.sources, done.invocations, done.failed), (6, 2, 0))
        expected = [("reference", self.reference.pk), *(("photo", p.pk) for p in self.photos)]
        self.assertEqual(self.sources(), expected)
        for path, kind, event in self.server.events:
            self.assertEqual(path, f"/2015-03-31/functions/{ARN}/invocations")
            self.assertEqual(kind, "Event")
            self.assertEqual(event["api_url"], "https://faces.example")
            self.assertEqual(set(event["sources"][0]), {"pk", "type", "photo_url", "token"})
            read_payload(event)

    def test_the_token_is_stored_as_a_hash_only(self) -> None:
        self.submit()
        source = self.server.events[0][2]["sources"][0]
        self.reference.refresh_from_db()
        self.assertEqual(self.reference.token_sha256, token_hash(source["token"]))
        self.assertGreaterEqual(len(source["token"]), 43)

    def test_what_was_handed_on_is_submitted_again_after_seven_hours_and_not_before(self) -> None:
        self.submit()
        self.assertEqual(self.submit().sources, 0)
        for hours, expected in ((6.9, 0), (7.1, 6)):
            long_ago = timezone.now() - timedelta(hours=hours)
            for model in (Photo, Reference):
                model.objects.update(submitted_at=long_ago)
            self.assertEqual(self.submit().sources, expected)

    def test_one_photo_waits_for_others_and_a_batch_does_not(self) -> None:
        self.assertEqual(dispatch.submit(self.photos[:1]), 0)
        self.assertEqual(dispatch.submit(self.photos[:3]), 3)
        submission.sweep()
        self.assertEqual(len(self.sources()), 6)

    def test_two_at_once_submit_each_source_once(self) -> None:
        # Both have looked before either claims.
        seen = [list(submission.due(Photo)) for _ in range(2)]
        done = [submission._round(iter(photos), lambda count: None) for photos in seen]
        self.assertEqual([each.sources for each in done], [5, 0])

    def test_what_a_worker_still_prepares_is_left_alone(self) -> None:
        Photo.objects.filter(pk=self.photos[0].pk).update(status=Status.QUEUED, processed_at=None)
        self.assertEqual(self.submit().sources, 5)

    def test_an_event_that_is_too_large_is_halved_until_it_fits(self) -> None:
        for limit in ("here", "there"):
            with self.subTest(limit):
                Photo.objects.update(submitted_at=None, token_sha256="")
                self.server.events.clear()
                if limit == "here":
                    with patch.object(client, "MAX_EVENT_BYTES", 700):
                        done = self.submit()
                else:
                    self.server.max_bytes = 700
                    done = self.submit()
                self.assertEqual(done.failed, 0)
                self.assertLessEqual({("photo", p.pk) for p in self.photos}, set(self.sources()))
                self.assertLess(max(len(e["sources"]) for _, _, e in self.server.events), 3)


class FailedTests(DispatchCase):
    def test_a_failed_invocation_loses_nothing_and_is_repeated_after_a_pause(self) -> None:
        self.server.status = 403
        with self.assertLogs("backend.photos", "ERROR") as logs:
            done = self.submit()
        # The next would fail too.
        self.assertEqual((done.sources, done.failed), (0, 3))
        self.assertNotIn("token", " ".join(logs.output))
        self.server.status = 202
        self.assertEqual(self.submit().sources, 3)  # those that were not tried yet
        for model in (Photo, Reference):
            failed = model.objects.filter(token_sha256="", submitted_at__isnull=False)
            failed.update(submitted_at=timezone.now() - timedelta(seconds=61))
        self.assertEqual(self.submit().sources, 3)

    def test_the_pause_grows_to_an_hour(self) -> None:
        photo = Photo.objects.filter(pk=self.photos[0].pk)
        for submissions, minutes in ((1, 1), (2, 2), (4, 8), (7, 64), (50, 64)):
            for seconds, expected in ((-5, False), (5, True)):
                ago = timedelta(minutes=minutes, seconds=seconds)
                photo.update(submissions=submissions, submitted_at=timezone.now() - ago)
                with self.subTest(submissions=submissions, seconds=seconds):
                    is_due = submission.due(Photo).filter(pk=self.photos[0].pk).exists()
                    self.assertEqual(is_due, expected)

    def test_an_unreachable_lambda_is_logged_and_retried(self) -> None:
        with override_settings(AWS_ENDPOINT_URL_LAMBDA="http://127.0.0.1:1"):
            said = self.trigger()
        self.assertIn("Submitted 0 of 6", said)
        self.assertIn("submitted later", said)
        # Asked again by a person, nothing rests.
        self.assertIn("Submitted 6 of 6 in 2 invocations", self.trigger())
        self.assertIn("Submitted 0 of 0", self.trigger())


class CommandTests(DispatchCase):
    @override_settings(FACES_PHOTOS_EXTRACTION="off")
    def test_with_extraction_off_it_says_so_and_all_keeps_processing(self) -> None:
        self.assertIn("switched off", self.trigger())
        self.assertIn("6 wait", self.trigger())
        self.assertEqual(Photo.objects.filter(extraction="processing").count(), 5)

    @override_settings(FACES_PHOTOS_EXTRACTION="workers")
    def test_without_lambda_it_asks_the_workers(self) -> None:
        self.assertIn("asked the workers for 6", self.trigger())
        self.assertEqual(Photo.objects.filter(status=Status.QUEUED).count(), 5)
        self.assertEqual(self.server.events, [])


class PictureTests(DispatchCase):
    """The picture's address, as the function gets it."""

    def path(self) -> str:
        self.submit()
        return str(self.server.events[0][2]["sources"][0]["photo_url"]).removeprefix(
            "https://faces.example"
        )

    def get(self, path: str) -> int:
        return int(Client().get(path).status_code)

    @override_settings(FACES_REQUIRE_API_KEY=True)
    def test_it_opens_by_its_signature_alone_and_only_while_it_is_processed(self) -> None:
        path = self.path()
        answer = Client().get(path)
        self.assertEqual((answer.status_code, answer["Content-Type"]), (200, "image/jpeg"))
        self.assertTrue(answer["X-Accel-Redirect"].endswith(self.reference.file.name))
        bare = path.partition("?")[0]
        self.assertIn(self.get(bare), (401, 403))
        self.assertEqual(self.get(path.replace("signature=", "signature=x")), 403)
        self.assertEqual(self.get(re.sub(r"expires=\d+", "expires=99999999999", path)), 403)
        self.assertEqual(self.get(path.replace("/reference/", "/photo/")), 403)
        Reference.objects.update(extraction="rejected", token_sha256="")
        self.assertEqual(self.get(path), 404)

    def test_a_source_needs_a_signature_even_if_no_keys_are_required(self) -> None:
        self.assertEqual(self.get(self.path().partition("?")[0]), 403)

    def test_it_outlives_the_seven_hours_and_then_ends(self) -> None:
        path = self.path()
        now = timezone.now().timestamp()
        for hours, expected in ((7.5, 200), (12, 403)):
            then = now + hours * 3600
            with patch("backend.clients.auth.signed_urls.time.time", return_value=then):
                self.assertEqual(self.get(path), expected)


class CheckTests(SimpleTestCase):
    def test_half_a_configuration_is_refused_at_start(self) -> None:
        aws = {"FACEDETECTION_LAMBDA_ARN": ARN, "ENVIRONMENT": "production"}
        for id, wrong in (
            ("faces.E010", {"FACES_PHOTOS_EXTRACTION": "lambda"}),
            ("faces.E012", {**aws, "FACEDETECTION_API_URL": "http://faces.example"}),
        ):
            with self.subTest(id), override_settings(**wrong):
                self.assertEqual([each.id for each in checks.lambda_is_whole(None)], [id])
        with override_settings(**aws, FACEDETECTION_API_URL="https://faces.example"):
            self.assertEqual(checks.lambda_is_whole(None), [])
