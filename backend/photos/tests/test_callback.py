"""The callback's door: what it takes once, and everything that it refuses."""

import json
from typing import Any
from unittest.mock import patch

import numpy
from django.test import TestCase, override_settings

from backend.common.jobs.models import Status
from backend.photos.extraction.aws_lambda import submission
from backend.photos.extraction.aws_lambda.submission import token_hash
from backend.photos.models import Album, Extraction, Photo, PhotoFace, Reference
from backend.photos.rest.lambda_callback import WRONG_TOKEN
from backend.photos.tests import factories
from tests.support import samples
from wire.facedetection import DIMENSIONS, MAX_CALLBACK_BYTES, MAX_ENCODINGS, NOT_PROCESSING

TOKEN = "the-token-of-this-submission"


def encoding(seed: int = 0) -> list[float]:
    numbers = numpy.random.default_rng(seed).normal(0, 0.1, DIMENSIONS).astype(numpy.float32)
    return [float(each) for each in numbers]


def submitted(source: Any, token: str = TOKEN) -> Any:
    """As the dispatch leaves it."""
    ready = {"status": Status.DONE, "processed_at": source.created_at}
    type(source).objects.filter(pk=source.pk).update(
        **ready, token_sha256=token_hash(token), submitted_at=source.created_at, submissions=1
    )
    source.refresh_from_db()
    return source


class CallbackCase(TestCase):
    album: Album
    photo: Photo
    reference: Reference

    @classmethod
    def setUpTestData(cls) -> None:
        cls.album = factories.album()
        cls.photo = submitted(factories.photo(cls.album, samples.no_face()))
        cls.reference = submitted(factories.reference(factories.member("alice"), samples.no_face()))

    def url(self, source: Any) -> str:
        return f"/api/facedetection/encodings/{source._meta.model_name}/{source.pk}/"

    def post(self, source: Any, body: Any) -> Any:
        text = body if isinstance(body, (str, bytes)) else json.dumps(body)
        return self.client.post(self.url(source), text, content_type="application/json")

    def send(self, source: Any, *encodings: Any, token: Any = TOKEN, **more: Any) -> Any:
        return self.post(source, {"token": token, "encodings": list(encodings), **more})


class TakenTests(CallbackCase):
    def test_a_photo_gets_its_faces(self) -> None:
        answer = self.send(self.photo, encoding(1), encoding(2))
        self.assertEqual(answer.status_code, 200, answer.content)
        self.photo.refresh_from_db()
        self.assertEqual((self.photo.extraction, self.photo.faces_count), (Extraction.DONE, 2))
        stored = PhotoFace.objects.with_encodings().filter(photo=self.photo)
        self.assertEqual([list(face.encoding) for face in stored], [encoding(1), encoding(2)])

    def test_no_faces_are_a_result_too(self) -> None:
        self.assertEqual(self.send(self.photo).status_code, 200)
        self.photo.refresh_from_db()
        self.assertEqual((self.photo.extraction, self.photo.faces_count), (Extraction.DONE, 0))

    def test_a_reference_is_done_with_one_face_and_rejected_with_others(self) -> None:
        for encodings, expected in (
            ([encoding(1)], Extraction.DONE),
            ([], Extraction.REJECTED),
            ([encoding(1), encoding(2)], Extraction.REJECTED),
        ):
            reference = submitted(factories.reference(factories.member("bob"), samples.no_face()))
            with self.subTest(len(encodings)):
                self.assertEqual(self.send(reference, *encodings).status_code, 200)
                reference.refresh_from_db()
                self.assertEqual(reference.extraction, expected)
                Reference.objects.filter(pk=reference.pk).delete()

    def test_a_newer_function_also_sends_boxes(self) -> None:
        box = {"top": 1, "right": 9, "bottom": 8, "left": 2}
        quality = {"score": 1.5, "size_px": 7, "sharpness": 2.0, "yaw": 0.5, "roll": -3.0}
        faces = [{"box": box, **quality, "too_poor": None}]
        answer = self.send(self.photo, encoding(), faces=faces, unknown="left alone")
        self.assertEqual(answer.status_code, 200, answer.content)
        face = PhotoFace.objects.get(photo=self.photo)
        self.assertEqual((face.top, face.right, face.bottom, face.left), (1, 9, 8, 2))
        self.assertEqual(face.quality, {**quality, "too_poor": None})

    def test_the_path_answers_without_its_slash(self) -> None:
        text = json.dumps({"token": TOKEN, "encodings": []})
        path = self.url(self.photo).rstrip("/")
        answer = self.client.post(path, text, content_type="application/json")
        self.assertEqual(answer.status_code, 200)

    @override_settings(FACES_REQUIRE_API_KEY=True)
    def test_it_needs_no_key_and_no_csrf_token(self) -> None:
        self.client = self.client_class(enforce_csrf_checks=True)
        self.assertEqual(self.send(self.photo).status_code, 200)


class RefusedTests(CallbackCase):
    def test_a_token_is_used_once(self) -> None:
        self.assertEqual(self.send(self.photo, encoding(1)).status_code, 200)
        again = self.send(self.photo, encoding(2), encoding(3))
        self.assertEqual((again.status_code, again.json()), (400, {"detail": NOT_PROCESSING}))
        self.assertEqual(PhotoFace.objects.filter(photo=self.photo).count(), 1)

    def test_the_second_result_changes_nothing(self) -> None:
        # Both have been let in by their token before either records.
        from backend.photos.extraction.aws_lambda import callback

        first, second = (Photo.objects.get(pk=self.photo.pk) for _ in range(2))
        body: Any = {"token": TOKEN, "encodings": [encoding(1)]}
        self.assertTrue(callback.record(first, body))
        self.assertFalse(callback.record(second, body))
        self.assertEqual(PhotoFace.objects.filter(photo=self.photo).count(), 1)

    def test_wrong_tokens_are_403_and_change_nothing(self) -> None:
        never = factories.photo(self.album, samples.no_face() + b" ")
        for source, token in (
            (self.photo, "wrong"),
            (self.photo, TOKEN + "x"),
            (self.photo, self.photo.token_sha256),
            (self.reference, "é" * 50),
            (never, TOKEN),
        ):
            with self.subTest(token):
                answer = self.send(source, encoding(), token=token)
                expected = (403, {"detail": WRONG_TOKEN})
                self.assertEqual((answer.status_code, answer.json()), expected)
                source.refresh_from_db()
                self.assertEqual(source.extraction, Extraction.PROCESSING)

    def test_a_token_opens_its_own_source_only(self) -> None:
        other = submitted(factories.photo(self.album, samples.no_face() + b" "), "other-token")
        self.assertEqual(self.send(other, encoding()).status_code, 403)
        self.assertEqual(self.send(self.photo, encoding(), token="other-token").status_code, 403)

    def test_the_token_of_an_earlier_submission_opens_nothing(self) -> None:
        submitted(self.photo, "the-newer-token")
        self.assertEqual(self.send(self.photo, encoding()).status_code, 403)
        self.assertEqual(self.send(self.photo, token="the-newer-token").status_code, 200)

    def test_the_tokens_are_compared_in_constant_time(self) -> None:
        with patch(
            "backend.photos.extraction.aws_lambda.callback.constant_time_compare",
            return_value=False,
        ) as compare:
            self.assertEqual(self.send(self.photo).status_code, 403)
        compare.assert_called_once_with(token_hash(TOKEN), token_hash(TOKEN))

    def test_an_unknown_source_is_404(self) -> None:
        for path in ("photo/999999", "reference/999999", "photo/" + "9" * 18):
            url = f"/api/facedetection/encodings/{path}/"
            body = json.dumps({"token": TOKEN, "encodings": []})
            with self.subTest(path):
                answer = self.client.post(url, body, content_type="application/json")
                self.assertEqual(answer.status_code, 404)
                self.assertEqual(answer["Content-Type"], "application/json")
        for path in ("person/1", "photo/x", "photo/-1", "photo/" + "9" * 40, "photo/1/2"):
            url = f"/api/facedetection/encodings/{path}/"
            self.assertEqual(self.client.post(url).status_code, 404, path)

    def test_bad_bodies_are_400_and_say_where(self) -> None:
        good = encoding()
        for field, body in (
            ("detail", []),
            ("detail", None),
            ("token", {"encodings": []}),
            ("token", {"token": 5, "encodings": []}),
            ("token", {"token": "", "encodings": []}),
            ("token", {"token": "x" * 501, "encodings": []}),
            ("token", {"token": ["a"], "encodings": []}),
            ("encodings", {"token": TOKEN}),
            ("encodings", {"token": TOKEN, "encodings": None}),
            ("encodings", {"token": TOKEN, "encodings": {}}),
            ("encodings", {"token": TOKEN, "encodings": [good[:127]]}),
            ("encodings", {"token": TOKEN, "encodings": [[*good, 0.0]]}),
            ("encodings", {"token": TOKEN, "encodings": good}),
            ("encodings", {"token": TOKEN, "encodings": [[True, *good[1:]]]}),
            ("encodings", {"token": TOKEN, "encodings": [["0.1", *good[1:]]]}),
            ("encodings", {"token": TOKEN, "encodings": [[None, *good[1:]]]}),
            ("encodings", {"token": TOKEN, "encodings": [[1e30, *good[1:]]]}),
            ("encodings", {"token": TOKEN, "encodings": [[10**400, *good[1:]]]}),
            ("encodings", {"token": TOKEN, "encodings": [[0] * 128] * (MAX_ENCODINGS + 1)}),
            ("faces", {"token": TOKEN, "encodings": [good], "faces": []}),
            ("faces", {"token": TOKEN, "encodings": [good], "faces": [{"box": {"top": -1}}]}),
            ("model", {"token": TOKEN, "encodings": [good], "model": "another model"}),
            ("error", {"token": TOKEN, "encodings": [], "error": {"reason": "x"}}),
        ):
            with self.subTest(field=field, body=str(body)[:80]):
                answer = self.post(self.photo, body)
                self.assertEqual(answer.status_code, 400, answer.content)
                self.assertEqual(list(answer.json()), [field])
                self.assertNotIn(TOKEN, answer.content.decode())

    def test_what_is_not_json_is_400(self) -> None:
        frame = '{"token": "%s", "encodings": [[%s]]}'
        numbers = ", ".join(["0.1"] * 127)
        for text in (
            "",
            "{",
            "token=1",
            b"\xff\xfe",
            "[" * 100_000,
            frame % (TOKEN, f"NaN, {numbers}"),
            frame % (TOKEN, f"Infinity, {numbers}"),
            frame % (TOKEN, f"1e999, {numbers}"),
            frame % (TOKEN, f"{'9' * 5000}, {numbers}"),
        ):
            with self.subTest(str(text)[:40]):
                self.assertEqual(self.post(self.photo, text).status_code, 400)
        self.photo.refresh_from_db()
        self.assertEqual(self.photo.extraction, Extraction.PROCESSING)

    def test_other_kinds_of_bodies_and_methods_are_refused(self) -> None:
        url = self.url(self.photo)
        self.assertEqual(self.client.post(url, {"token": TOKEN}).status_code, 415)
        for method in ("put", "patch", "delete"):
            self.assertEqual(getattr(self.client, method)(url).status_code, 405)

    def test_a_body_without_end_is_413(self) -> None:
        answer = self.post(self.photo, b" " * (MAX_CALLBACK_BYTES + 1))
        self.assertEqual(answer.status_code, 413)

    def test_wrong_tokens_are_throttled_and_valid_ones_are_not(self) -> None:
        still = patch("backend.clients.limits.throttling.time.time", return_value=1e9)  # one window
        with override_settings(FACES_REQUEST_RATE=(3, 3600)), still:
            codes = [self.send(self.photo, token="guess").status_code for _ in range(5)]
            self.assertEqual(codes, [403, 403, 403, 429, 429])
            self.assertEqual(self.send(self.photo).status_code, 200)


class StatusTests(CallbackCase):
    def ask(self, source: Any, token: str = TOKEN) -> Any:
        return self.client.get(self.url(source), headers={"Authorization": f"Bearer {token}"})

    def test_a_valid_token_learns_whether_a_result_is_wanted(self) -> None:
        answer = self.ask(self.photo)
        self.assertEqual((answer.status_code, answer.json()), (200, {"status": "processing"}))
        self.assertEqual(self.ask(self.photo, "guess").status_code, 403)
        self.assertEqual(self.client.get(self.url(self.photo)).status_code, 403)
        self.send(self.photo)
        self.assertEqual(self.ask(self.photo).status_code, 400)


class ReportedTests(CallbackCase):
    def report(self, source: Any, *, permanent: bool) -> int:
        error = {"reason": "The file is not an image.", "permanent": permanent}
        return int(self.send(source, error=error).status_code)

    def test_what_can_never_be_read_fails_with_its_reason(self) -> None:
        self.assertEqual(self.report(self.photo, permanent=True), 200)
        self.assertEqual(self.report(self.reference, permanent=True), 200)
        self.photo.refresh_from_db()
        self.reference.refresh_from_db()
        self.assertEqual(self.photo.extraction, Extraction.FAILED)
        self.assertEqual(self.reference.extraction, Extraction.REJECTED)
        self.assertEqual(self.reference.failure_reason, "The file is not an image.")

    def test_what_failed_for_now_is_submitted_again_soon_with_another_token(self) -> None:
        self.assertEqual(self.report(self.photo, permanent=False), 200)
        self.assertEqual(self.send(self.photo, encoding()).status_code, 403)
        self.assertIn(self.photo, submission.due(Photo, at_once=True))
        self.assertNotIn(self.photo, submission.due(Photo))

    def test_what_fails_again_and_again_is_given_up(self) -> None:
        Photo.objects.filter(pk=self.photo.pk).update(submissions=11)
        self.assertEqual(self.report(self.photo, permanent=False), 200)
        self.photo.refresh_from_db()
        self.assertEqual(self.photo.extraction, Extraction.FAILED)
