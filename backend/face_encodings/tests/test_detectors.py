"""A request may name a detector; results of two detectors are never mixed."""

from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import override_settings

from backend.analysis import detectors
from backend.analysis.models import Analysis
from backend.face_encodings.models import EncodedImage
from backend.face_encodings.tests.base import FACELESS, OBAMA, POST, TWO, EncodingCase, file, sha256

LIST = ", ".join(detectors.available_detectors())


class RequestTests(EncodingCase):
    def by(self, detector: str, data: bytes = OBAMA, path: str = POST) -> Any:
        return self.client.post(path, {"upload_file": file(data), "detector": detector})

    def test_the_service_encodes_by_hog(self) -> None:
        self.assertEqual(self.post().json()["detector"], "hog")

    def test_a_field_or_the_query_names_the_detector(self) -> None:
        field = self.by("cnn").json()
        query = self.post(path=f"{POST}?detector=cnn").json()
        self.assertEqual(field["detector"], "cnn")
        self.assertEqual(field, query)
        self.assertEqual(Analysis.objects.get().detector, "cnn")

    def test_an_empty_name_is_none(self) -> None:
        self.assertEqual(self.by("").json(), self.post().json())

    def test_an_unknown_name_is_answered_with_the_list(self) -> None:
        for path in (POST, "/face_encodings/batch"):
            for answer in (self.by("dog", path=path), self.post(path=f"{path}?detector=dog")):
                self.assertEqual(answer.status_code, 400)
                (message,) = answer.json()["detector"]
                self.assertIn(LIST, message)
        self.assertFalse(Analysis.objects.exists())

    def test_two_names_are_refused(self) -> None:
        answer = self.by("hog", path=f"{POST}?detector=cnn")
        self.assertEqual(answer.status_code, 400)

    def test_two_detectors_have_two_results(self) -> None:
        hog, cnn = self.post().json(), self.by("cnn").json()
        self.assertNotEqual(hog["faces"][0]["box"], cnn["faces"][0]["box"])
        self.assertEqual(self.get().json(), hog)
        self.assertEqual(self.encoding("cnn").json(), cnn)
        self.assertEqual(self.post().json(), hog)
        found = set(Analysis.objects.values_list("detector", flat=True))
        self.assertEqual(found, {"hog", "cnn"})

    def test_tags_of_two_results_differ(self) -> None:
        self.post()
        self.by("cnn")
        self.assertNotEqual(self.get()["ETag"], self.encoding("cnn")["ETag"])

    def test_naming_the_services_own_is_the_same_as_naming_none(self) -> None:
        self.assertEqual(self.by("hog").json(), self.post().json())
        self.assertEqual(self.encoding("hog").json(), self.get().json())
        self.assertEqual(EncodedImage.objects.count(), 1)

    def test_a_hash_finds_also_an_image_that_was_only_sent_with_a_detector(self) -> None:
        sent = self.by("cnn").json()
        self.assertEqual(self.get().json(), sent)
        self.assertEqual(self.encoding("hog").status_code, 422)

    def test_statistics_count_the_services_detector_alone(self) -> None:
        self.by("cnn")
        self.assertEqual(self.statistics()[0], 0)
        encoding = self.post().json()["face_encoding"]
        self.by("cnn")
        count, mean = self.statistics()
        self.assertEqual(count, 1)
        self.assertLess(max(abs(a - b) for a, b in zip(mean, encoding, strict=True)), 1e-6)

    def test_erasing_a_hash_erases_the_results_of_every_detector(self) -> None:
        self.post()
        self.by("cnn")
        self.assertEqual(self.delete().status_code, 204)
        self.assertFalse(EncodedImage.objects.exists())
        self.assertFalse(Analysis.objects.exists())
        self.assertEqual(self.statistics()[0], 0)

    @override_settings(FACES_SYNC_RESPONSE_TIMEOUT_S=0.05)
    def test_the_address_of_a_result_that_takes_longer_names_the_detector(self) -> None:
        self.enqueue.side_effect = None
        answer = self.by("cnn")
        self.assertEqual(answer.status_code, 202)
        url = f"/face_encoding/{sha256(OBAMA)}?detector=cnn"
        self.assertTrue(answer.json()["face_encoding_url"].endswith(url))

    @override_settings(FACES_DETECTOR="cnn")
    def test_the_setting_cnn_is_of_encodings_too(self) -> None:
        self.assertEqual(self.post().json()["detector"], "cnn")

    def test_a_batch_is_searched_by_one_detector(self) -> None:
        files = [file(data) for data in (OBAMA, TWO, FACELESS)]
        form = {"upload_file": files, "detector": "cnn"}
        results = self.client.post("/face_encodings/batch", form).json()["results"]
        self.assertEqual([each["detector"] for each in results], ["cnn"] * 3)
        self.assertEqual(results[0], {"status": 200, **self.by("cnn").json()})

    def test_a_verification_is_by_the_named_detector(self) -> None:
        distances = {name: self.distance(name) for name in ("", "hog", "cnn")}
        self.assertEqual(distances[""], distances["hog"])
        self.assertNotEqual(distances["cnn"], distances["hog"])
        self.assertEqual(
            self.distance("dog"), [f"“dog” is no detector of this service. It has: {LIST}."]
        )

    def distance(self, detector: str) -> Any:
        pictures = {
            f"image_{side}": SimpleUploadedFile("a.jpg", data)
            for side, data in ((1, OBAMA), (2, TWO))
        }
        body = self.client.post("/verify", {**pictures, "detector": detector}).json()
        return body.get("distance") or body["detector"]

    def encoding(self, detector: str) -> Any:
        return self.client.get(f"/face_encoding/{sha256(OBAMA)}?detector={detector}")
