"""The three endpoints, to the letter, against face_recognition.

The contract's golden values are of two photographs of LFW, which is not at hand here: those that
are at hand are checked against the library that the golden values came from.
"""

import io
from unittest import mock

import numpy
from django.test import override_settings
from django.utils import timezone
from django.utils.module_loading import import_string

import faceengine
from backend.analysis.models import Analysis
from backend.common.jobs.models import Status
from backend.face_encodings import services, tasks
from backend.face_encodings.models import EncodedImage
from backend.face_encodings.tests.base import FACELESS, OBAMA, POST, TWO, EncodingCase, file, sha256
from faceengine.tests.oracle import face_recognition
from tests.support import image_factories, photographs

NOT_FOUND = {"message": "No face encoding found!"}


class PostTests(EncodingCase):
    def test_it_answers_what_face_recognition_finds(self) -> None:
        small = image_factories.encoded(image_factories.portrait("biden.jpg", 250))
        for data in (photographs.read("obama.jpg"), photographs.read("obama2.jpg"), small):
            with self.subTest(sha256(data)):
                answer = self.post(data)
                self.assertEqual(answer.status_code, 200)
                body = answer.json()
                self.assertEqual((body["message"], body["file_hash"]), ("OK", sha256(data)))
                self.assert_near(body["face_encoding"], expected(data)[0])

    def test_of_several_faces_it_returns_the_first_and_lists_all(self) -> None:
        body = self.post(TWO).json()
        self.assertEqual(body["message"], "OK - Multiple faces. Returning first")
        self.assertEqual(body["face_encoding"], body["faces"][0]["encoding"])
        for face, known in zip(body["faces"], expected(TWO), strict=True):
            self.assert_near(face["encoding"], known)
        pixels = face_recognition.load_image_file(io.BytesIO(TWO))
        boxes = [tuple(face["box"].values()) for face in body["faces"]]
        self.assertEqual(boxes, face_recognition.face_locations(pixels))
        self.assertIn("score", body["faces"][0]["quality"])

    def test_without_a_file_it_is_422(self) -> None:
        requests = {
            "no field": self.client.post(POST, {}),
            "text": self.client.post(POST, {"upload_file": "text"}),
            "another field": self.client.post(POST, {"image": file(OBAMA)}),
            "no form": self.client.post(POST, b"x", content_type="application/octet-stream"),
            "json": self.client.post(POST, {}, content_type="application/json"),
            "nothing": self.client.generic("POST", POST),
        }
        for what, answer in requests.items():
            with self.subTest(what):
                self.assertEqual(answer.status_code, 422)
                self.assertEqual(answer.json(), {"message": "No image sent!"})

    def test_without_a_face_it_is_422(self) -> None:
        answer = self.post(FACELESS)
        self.assertEqual((answer.status_code, answer.json()["message"]), (422, "No faces found!"))
        self.assertEqual(self.statistics()[0], 0)

    def test_what_is_no_image_is_422_with_a_sentence_and_leaves_nothing(self) -> None:
        for data in (b"not an image", b"", OBAMA[:1000]):
            answer = self.post(data)
            self.assertEqual(answer.status_code, 422)
            self.assertTrue(answer.json()["message"].endswith("."))
        self.assertFalse(EncodedImage.objects.exists() or Analysis.objects.exists())

    def test_two_files_are_refused_with_where_to_send_them(self) -> None:
        answer = self.client.post(POST, {"upload_file": [file(OBAMA), file(TWO)]})
        self.assertEqual(answer.status_code, 422)
        self.assertIn("/face_encodings/batch", answer.json()["message"])

    def test_the_name_of_the_file_does_not_matter(self) -> None:
        for name in ("blob", "a.tiff", "a.exe"):
            answer = self.client.post(POST, {"upload_file": file(OBAMA, name)})
            self.assertEqual(answer.status_code, 200)

    @override_settings(FACES_MAX_UPLOAD_BYTES=1000)
    def test_what_is_too_large_is_413(self) -> None:
        self.assertEqual(self.post().status_code, 413)

    def test_the_same_bytes_are_analysed_and_counted_once(self) -> None:
        with mock.patch.object(faceengine, "encode_many", wraps=faceengine.encode_many) as many:
            first, second = self.post().json(), self.post().json()
        self.assertEqual(first, second)
        self.assertEqual(many.call_count, 1)
        self.assertEqual(self.statistics()[0], 1)

    def test_another_detector_makes_another_encoding_counted_instead(self) -> None:
        self.post()
        with override_settings(FACES_MAX_DETECTION_PIXELS=200_000):
            self.post()
            self.assertEqual(Analysis.objects.count(), 2)
        self.assertEqual(self.statistics()[0], 1)

    def test_with_and_without_the_slash_and_no_other_method(self) -> None:
        self.assertEqual(self.post(path=POST + "/").status_code, 200)
        for path, allowed in (
            (POST, "post"),
            (f"/face_encoding/{sha256(OBAMA)}", "get delete"),
            ("/stats", "get"),
            ("/verify", "post"),
            ("/face_encodings/batch", "post"),
        ):
            for method in {"get", "post", "put", "patch", "delete"} - set(allowed.split()):
                for each in (path, path + "/"):
                    with self.subTest(f"{method} {each}"):
                        answer = getattr(self.client, method)(each)
                        self.assertEqual(answer.status_code, 405)

    def assert_near(self, found: list[float], known: list[float]) -> None:
        self.assertEqual(len(found), 128)
        self.assertLess(numpy.abs(numpy.subtract(found, known)).max(), 1e-5)


class GetTests(EncodingCase):
    def test_it_is_the_same_body_by_hash(self) -> None:
        body = self.post(TWO).json()
        for hash in (sha256(TWO), sha256(TWO).upper(), sha256(TWO) + "/"):
            self.assertEqual(self.client.get(f"/face_encoding/{hash}").json(), body)

    def test_what_is_unknown_is_422(self) -> None:
        for hash in (sha256(OBAMA), "x", "%00", "a" * 5000):
            answer = self.client.get(f"/face_encoding/{hash}")
            self.assertEqual((answer.status_code, answer.json()), (422, NOT_FOUND))

    def test_of_an_image_without_a_face_there_is_none(self) -> None:
        self.post(FACELESS)
        answer = self.get(FACELESS)
        self.assertEqual(answer.status_code, 422)
        self.assertEqual(answer.json()["message"], NOT_FOUND["message"])

    def test_what_is_deleted_is_gone(self) -> None:
        self.post()
        self.assertEqual(self.delete().status_code, 204)
        self.assertEqual(self.get().json(), NOT_FOUND)
        self.assertEqual(self.delete().json(), NOT_FOUND)
        self.assertFalse(Analysis.objects.exists())
        self.assertEqual(self.statistics(), (0, [0.0] * 128))


@override_settings(FACES_SYNC_RESPONSE_TIMEOUT_S=0.2)
class LateTests(EncodingCase):
    """A worker that takes longer than the client is kept waiting."""

    def setUp(self) -> None:
        super().setUp()
        self.enqueue.side_effect = None

    def work(self) -> None:
        for call in self.enqueue.call_args_list:
            _queue, task, argument = call.args
            import_string(task)(argument)

    def test_past_the_bound_it_is_202_with_the_address_that_answers_later(self) -> None:
        answer = self.post()
        path = answer.json()["face_encoding_url"].removeprefix("http://localhost:8282")
        self.assertEqual((answer.status_code, path), (202, f"/face_encoding/{sha256(OBAMA)}"))
        self.assertEqual(answer["Location"], answer.json()["face_encoding_url"])
        pending = self.client.get(path)
        self.assertEqual((pending.status_code, pending["Cache-Control"]), (202, "no-store"))
        self.work()
        self.assertEqual(self.client.get(path).json()["message"], "OK")
        self.assertEqual(self.statistics()[0], 1)

    def test_what_nobody_asks_for_again_is_counted_by_the_sweep(self) -> None:
        self.post()
        self.work()
        self.assertEqual(self.statistics()[0], 0)
        tasks.sweep()
        tasks.sweep()
        self.assertEqual(self.statistics()[0], 1)

    def test_what_fails_is_told_once_and_forgotten(self) -> None:
        self.post()
        Analysis.objects.update(
            status=Status.FAILED, reason="It broke.", processed_at=timezone.now()
        )
        self.assertEqual(self.get().json(), {"message": "It broke."})
        self.assertEqual(self.get().json(), NOT_FOUND)

    def test_what_fails_and_nobody_asks_for_is_forgotten_by_the_sweep(self) -> None:
        self.post()
        Analysis.objects.update(status=Status.FAILED, processed_at=timezone.now())
        tasks.sweep()
        self.assertFalse(EncodedImage.objects.exists())

    def test_deleted_while_it_waits_nothing_is_left_of_it(self) -> None:
        self.post()
        self.assertEqual(self.delete().status_code, 204)
        self.assertFalse(Analysis.objects.exists())
        self.work()
        tasks.sweep()
        self.assertEqual(self.statistics()[0], 0)

    def test_deleted_while_it_is_in_work_its_result_is_dropped(self) -> None:
        self.post()

        def delete_meanwhile(*args: object, **kwargs: object) -> list[list[faceengine.Face]]:
            services.erase(list(EncodedImage.objects.all()))
            return [[]]

        with mock.patch.object(faceengine, "encode_many", delete_meanwhile):
            self.work()
        self.assertFalse(Analysis.objects.exists() or EncodedImage.objects.exists())

    @override_settings(FACES_MAX_PENDING=1)
    def test_who_has_too_many_waiting_is_told_to_wait(self) -> None:
        self.post()
        answer = self.post(TWO)
        self.assertEqual(answer.status_code, 429)
        self.assertIn("Retry-After", answer)

    def test_an_analysis_that_goes_just_when_it_is_referred_to_is_asked_for_again(self) -> None:
        refer = services._refer
        gone: list[object] = []

        def lose_it_once(owner_id: int, sha256: str, detector: str, id: int) -> EncodedImage:
            if not gone:
                gone.append(Analysis.objects.filter(pk=id).delete())
            return refer(owner_id, sha256, detector, id)

        with mock.patch.object(services, "_refer", lose_it_once):
            self.assertEqual(self.post().status_code, 202)
        self.assertEqual(EncodedImage.objects.get().analysis_id, Analysis.objects.get().pk)

    def test_the_sweep_completes_images_that_no_request_waits_for(self) -> None:
        self.post()
        self.work()
        tasks.sweep()
        self.assertIsNotNone(EncodedImage.objects.get().completed_at)
        self.assertEqual(self.get().status_code, 200)


def expected(data: bytes) -> list[list[float]]:
    """The oracle's encodings, in its order."""
    pixels = face_recognition.load_image_file(io.BytesIO(data))
    places = face_recognition.face_locations(pixels)
    found = face_recognition.face_encodings(pixels, places, model="small")
    return [encoding.tolist() for encoding in found]
