"""Another encoder than dlib's: its numbers, its name beside them, and no comparison with others."""

import io
from typing import Any

from django.core.management import call_command

from backend.analysis import encoders
from backend.analysis.services import DLIB
from backend.clients.models import ANONYMOUS_ID
from backend.face_encodings import services
from backend.face_encodings.models import StatisticsCounter
from backend.face_encodings.tests.base import BIDEN, OBAMA, TWO, EncodingCase, file, sha256
from tests.support import photographs, sface
from tests.support.encoder_in_use import encoder_in_use

NUMBERS = 512


class OtherEncoderTests(EncodingCase):
    def verify(self, **sides: Any) -> Any:
        return self.client.post("/verify", sides, content_type="application/json")

    def verify_images(self, one: bytes, other: bytes, **more: str) -> Any:
        sides = {"image_1": file(one), "image_2": file(other)}
        return self.client.post("/verify", {**sides, **more}).json()

    def refused(self, field: str, sentence: str, **sides: Any) -> None:
        answer = self.verify(**sides)
        self.assertEqual(answer.status_code, 400, answer.content)
        self.assertIn(sentence, answer.json()[field][0])

    def test_its_name_is_beside_each_encoding_and_dlibs_have_none(self) -> None:
        before = self.post(TWO).json()
        with encoder_in_use() as encoder:
            body = self.post(TWO).json()
            self.assertEqual(self.get(TWO).json(), body)
            (one,) = self.batch(TWO).json()["results"]
        self.assertEqual((len(body["face_encoding"]), body["model"]), (NUMBERS, encoder.name))
        self.assertEqual([face["model"] for face in body["faces"]], [encoder.name] * 2)
        self.assertEqual(
            (one["face_encoding"], one["model"]), (body["face_encoding"], body["model"])
        )
        self.assertEqual(
            [face["box"] for face in body["faces"]], [f["box"] for f in before["faces"]]
        )
        # Back: what was made by the other stays what it is until the image is sent again.
        self.assertEqual(self.get(TWO).json(), body)
        self.assertEqual(self.post(TWO).json(), before)
        self.assertNotIn("model", str(before))

    def test_each_model_has_statistics_of_its_own(self) -> None:
        old = [self.post(data).json()["face_encoding"] for data in (OBAMA, BIDEN)]
        with encoder_in_use() as encoder:
            self.assertEqual(self.statistics(), (0, [0.0] * NUMBERS))
            new = self.post(OBAMA).json()["face_encoding"]
            count, mean = self.statistics()
            self.assertEqual(count, 1)
            self.assertLess(max(abs(a - b) for a, b in zip(mean, new, strict=True)), 1e-9)
            models = set(StatisticsCounter.objects.values_list("model", "images"))
            self.assertEqual(models, {(DLIB, 1), (encoder.name, 1)})
            out = io.StringIO()
            call_command("recompute_statistics", "--check", stdout=out, stderr=io.StringIO())
            self.assertEqual(out.getvalue(), "The statistics are right.\n")
            self.delete(OBAMA)
            self.assertEqual(self.statistics()[0], 0)
        count, mean = self.statistics()
        self.assertEqual(count, 1)
        self.assertLess(max(abs(a - b) for a, b in zip(mean, old[1], strict=True)), 1e-9)
        services.erase_of(ANONYMOUS_ID, at_most=9)
        services.erase_of(ANONYMOUS_ID, at_most=9)
        self.assertFalse(StatisticsCounter.objects.exists())

    def test_a_verdict_is_by_the_thresholds_of_the_model(self) -> None:
        with encoder_in_use():
            same, other = self.verify_images(OBAMA, OBAMA), self.verify_images(OBAMA, BIDEN)
            every = self.verify_images(OBAMA, TWO, faces="all")
        self.assertEqual((same["distance"], same["same_person"]), (0.0, True))
        self.assertEqual((other["same_person"], other["threshold"]), (False, 0.01))
        self.assertIsNone(other["false_accept_rate"]["at_most"])
        self.assertEqual(len(every["distances"][0]), 2)

    def test_without_thresholds_there_is_a_distance_and_no_guess(self) -> None:
        with encoder_in_use(facts=""):
            body = self.verify_images(OBAMA, OBAMA)
            (warning,) = encoders.encoder_is_there(None)
        self.assertEqual(
            (body["distance"], body["same_person"], body["threshold"]), (0.0, None, None)
        )
        self.assertEqual(warning.id, "faces.W024")
        self.assertIn("calibrate_confidence", str(warning.hint))

    def test_encodings_of_two_models_are_never_compared(self) -> None:
        old = self.post(OBAMA).json()["face_encoding"]
        self.refused("encoding_2", "has 128 numbers, not 512", encoding_1=old, encoding_2=[0] * 512)
        with encoder_in_use() as encoder:
            new = self.post(BIDEN).json()["face_encoding"]
            model = encoder.name
            self.refused("encoding_1", "Name the model", encoding_1=new, hash_2=sha256(BIDEN))
            self.refused(
                "encoding_1", f"{model} has 512", encoding_1=old, model_1=model, encoding_2=old
            )
            self.refused(
                "encoding_2",
                "no encoder “another”",
                encoding_1=old,
                encoding_2=old,
                model_2="another",
            )
            two = f"side 1 is of {DLIB}, side 2 of {model}"
            self.refused("hash_2", two, encoding_1=old, hash_2=sha256(BIDEN))
            self.refused("encoding_2", two, encoding_1=old, encoding_2=new, model_2=model)
            # Bytes that were sent before the change have dlib's encodings.
            self.refused("hash_2", f"side 2 of {DLIB}", hash_1=sha256(BIDEN), hash_2=sha256(OBAMA))
            known = self.verify(encoding_1=new, model_1=model, hash_2=sha256(BIDEN)).json()
            self.assertEqual((known["distance"], known["same_person"]), (0.0, True))
            # dlib's can be compared with each other, whatever the service's encoder is.
            known = self.verify(encoding_1=old, encoding_2=old, model_2=DLIB).json()
            self.assertEqual((known["distance"], known["threshold"]), (0.0, 0.6))

    def test_sface_tells_people_apart_and_is_not_taken_for_dlib(self) -> None:
        """Its encodings have 128 numbers, too."""
        old = self.post(OBAMA).json()["face_encoding"]
        with encoder_in_use(sface.path()):
            same = self.verify_images(OBAMA, photographs.read("obama2.jpg"))
            other = self.verify_images(OBAMA, BIDEN)
            new = self.post(OBAMA).json()
            self.assertEqual((len(new["face_encoding"]), new["model"]), (128, sface.NAME))
            sides = {"encoding_1": new["face_encoding"], "encoding_2": old}
            self.refused("encoding_2", "two models", model_1=sface.NAME, **sides)
            self.assertEqual(encoders.encoder_is_there(None), [])  # its thresholds are shipped
        self.assertEqual((same["same_person"], other["same_person"]), (True, False))
        self.assertEqual(same["threshold"], 1.128)

    def test_a_setting_that_names_no_encoder_is_an_error_of_the_checks(self) -> None:
        with self.settings(FACES_ENCODER="/nowhere.onnx"):
            (error,) = encoders.encoder_is_there(None)
        self.assertEqual(error.id, "faces.E024")
        self.assertIn("/nowhere.onnx", error.msg)
        self.assertEqual(encoders.encoder_is_there(None), [])
