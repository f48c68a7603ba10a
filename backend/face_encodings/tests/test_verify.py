"""Two sides, one verdict: of images, hashes and encodings, in any pairing."""

import io
from typing import Any
from unittest import mock

import numpy
from django.test import SimpleTestCase, override_settings

from backend.analysis import services as analysis
from backend.analysis.models import Analysis
from backend.clients.tests import factories
from backend.face_encodings import verification
from backend.face_encodings.models import EncodedImage
from backend.face_encodings.tests.base import (
    BIDEN,
    FACELESS,
    OBAMA,
    TWO,
    EncodingCase,
    file,
    sha256,
)
from faceengine.tests.oracle import face_recognition
from tests.support import photographs

OBAMA_AGAIN = photographs.read("obama2.jpg")


class VerifyTests(EncodingCase):
    def verify(self, headers: dict[str, str] | None = None, **sides: Any) -> Any:
        form = {
            name: file(side) if isinstance(side, bytes) else side for name, side in sides.items()
        }
        return self.client.post("/verify", form, headers=headers or {})

    def verify_json(self, **sides: Any) -> Any:
        return self.client.post("/verify/", sides, content_type="application/json")

    def test_images_are_compared_as_face_recognition_compares_them(self) -> None:
        for other, same in ((OBAMA_AGAIN, True), (TWO, None)):
            answer = self.verify(image_1=OBAMA, image_2=other)
            self.assertEqual(answer.status_code, 200)
            body = answer.json()
            known = numpy.linalg.norm(first(OBAMA) - first(other))
            self.assertAlmostEqual(body["distance"], known, places=4)
            self.assertEqual(body["same_person"], bool(known <= 0.6))
            self.assertIn(body["same_person"], {same} if same is not None else {True, False})
            self.assertEqual(body["threshold"], 0.6)

    def test_with_all_faces_the_nearest_pair_is_the_verdict(self) -> None:
        biden_alone = self.verify(image_1=BIDEN, image_2=TWO).json()
        body = self.verify(image_1=BIDEN, image_2=TWO, faces="all").json()
        self.assertEqual([len(body["faces_1"]), len(body["faces_2"])], [1, 2])
        self.assertEqual(len(body["distances"]), 1)
        self.assertAlmostEqual(body["distance"], min(body["distances"][0]))
        self.assertEqual(body["pair"]["face_2"], body["distances"][0].index(body["distance"]))
        self.assertLessEqual(body["distance"], biden_alone["distance"])
        self.assertNotIn("distances", biden_alone)
        encoding = self.post(OBAMA).json()["face_encoding"]
        body = self.verify_json(encoding_1=encoding, hash_2=sha256(OBAMA), faces="all").json()
        self.assertEqual((body["faces_1"], len(body["faces_2"])), ([None], 1))
        self.assertTrue(body["same_person"])
        self.assertEqual(self.verify(image_1=OBAMA, image_2=TWO, faces="x").status_code, 400)

    def test_two_people_are_two(self) -> None:
        self.assertFalse(self.verify(image_1=OBAMA, image_2=BIDEN).json()["same_person"])

    def test_hashes_encodings_and_images_go_together(self) -> None:
        encoding = self.post(OBAMA).json()["face_encoding"]
        distances = [
            self.verify(image_1=OBAMA, hash_2=sha256(OBAMA)).json()["distance"],
            self.verify(image_1=OBAMA, encoding_2=str(encoding)).json()["distance"],
            self.verify_json(hash_1=sha256(OBAMA).upper(), encoding_2=encoding).json()["distance"],
            self.verify_json(encoding_1=encoding, encoding_2=encoding).json()["distance"],
        ]
        self.assertEqual(distances, [0.0] * 4)

    def test_what_was_only_compared_is_not_kept_and_not_counted(self) -> None:
        self.verify(image_1=OBAMA, image_2=OBAMA)
        self.assertFalse(EncodedImage.objects.exists() or Analysis.objects.exists())
        self.assertEqual(self.statistics()[0], 0)

    def test_a_side_without_a_face_is_named(self) -> None:
        answer = self.verify(image_1=OBAMA, image_2=FACELESS)
        self.assertEqual(answer.status_code, 422)
        self.assertEqual(answer.json(), {"message": "No faces found!", "side": 2})
        self.post(FACELESS)
        answer = self.verify_json(hash_1=sha256(FACELESS), encoding_2=[0.0] * 128)
        self.assertEqual(answer.json(), {"message": "No faces found!", "side": 1})

    def test_a_hash_of_bytes_that_the_caller_never_sent_is_unknown(self) -> None:
        self.post(OBAMA, **factories.headers("alice"))
        answer = self.verify_json(hash_1=sha256(OBAMA), encoding_2=[0.0] * 128)
        self.assertEqual(answer.status_code, 422)
        self.assertEqual(answer.json(), {"message": "No face encoding found!", "side": 1})

    def test_a_hash_needs_the_scope_read_too(self) -> None:
        headers = factories.headers("alice", ["upload"])
        answer = self.verify(headers, image_1=OBAMA, hash_2=sha256(OBAMA))
        self.assertEqual(answer.status_code, 403)
        self.assertEqual(self.verify(headers, image_1=OBAMA, image_2=OBAMA).status_code, 200)

    def test_what_is_no_image_is_named(self) -> None:
        answer = self.verify(image_1=OBAMA, image_2=b"not an image")
        self.assertEqual((answer.status_code, answer.json()["side"]), (422, 2))

    def test_a_side_is_one_thing_and_well_formed(self) -> None:
        good: list[float] = [0.0] * 128
        wrong: dict[str, Any] = {
            "missing": {"encoding_1": good},
            "two things": {"encoding_1": good, "encoding_2": good, "hash_2": "a" * 64},
            "no hash": {"encoding_1": good, "hash_2": "abc"},
            "a number as hash": {"encoding_1": good, "hash_2": 7},
            "text as image": {"encoding_1": good, "image_2": "text"},
            "too short": {"encoding_1": good, "encoding_2": good[1:]},
            "not numbers": {"encoding_1": good, "encoding_2": ["0"] * 128},
            "truth": {"encoding_1": good, "encoding_2": [True] * 128},
            "infinite": {"encoding_1": good, "encoding_2": "[" + "1e999, " * 127 + "0]"},
            "huge": {"encoding_1": good, "encoding_2": [10**400] * 128},
            "too far for a distance": {"encoding_1": good, "encoding_2": [1e200] * 128},
            "null": {"encoding_1": good, "encoding_2": None},
            "deep": {"encoding_1": good, "encoding_2": "[" * 100_000},
        }
        for what, sides in wrong.items():
            with self.subTest(what):
                answer = self.verify_json(**sides)
                self.assertEqual(answer.status_code, 400)
                self.assertTrue(next(iter(answer.json())).endswith("_2"), answer.json())
        answer = self.client.post("/verify", "[1]", content_type="application/json")
        self.assertEqual(answer.status_code, 400)

    @override_settings(FACES_SYNC_RESPONSE_TIMEOUT_S=0.05)
    def test_what_takes_too_long_is_503_with_when_to_ask_again(self) -> None:
        self.enqueue.side_effect = None
        answer = self.verify(image_1=OBAMA, image_2=BIDEN)
        self.assertEqual(answer.status_code, 503)
        self.assertIn("Retry-After", answer)

    def test_comparisons_of_the_same_image_share_no_analysis(self) -> None:
        owners: list[str] = []
        first_encodings = analysis.first_encodings

        def seen(ids: Any) -> Any:
            owners.extend(Analysis.objects.values_list("owner", flat=True))
            return first_encodings(ids)

        with mock.patch.object(analysis, "first_encodings", seen):
            for _ in range(2):
                self.verify(image_1=OBAMA, encoding_2=str([0.0] * 128))
        self.assertEqual(len(set(owners)), 2)


class RateTests(SimpleTestCase):
    def test_the_rate_is_what_was_published_or_its_bound_or_nothing(self) -> None:
        known = {0.5: 0.005333, 0.6: 0.005333, 0.61: 0.008667, 0.622864: 0.008667, 0.63: None}
        for threshold, rate in known.items():
            self.assertEqual(verification.false_accept_rate(threshold)["at_most"], rate)

    @override_settings(FACES_VERIFY_THRESHOLD=0.5)
    def test_the_threshold_is_a_setting(self) -> None:
        verdict = verification.verdict([0.0] * 128, [0.55] + [0.0] * 127)
        self.assertEqual((verdict["same_person"], verdict["threshold"]), (False, 0.5))


def first(data: bytes) -> Any:
    """The oracle's first encoding."""
    pixels = face_recognition.load_image_file(io.BytesIO(data))
    return face_recognition.face_encodings(pixels, model="small")[0]
