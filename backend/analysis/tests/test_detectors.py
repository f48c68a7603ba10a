"""Which detector finds the faces: by the settings, the weights that are here, and the request."""

from contextlib import AbstractContextManager
from unittest import mock

from django.core.files.base import ContentFile
from django.test import SimpleTestCase, TransactionTestCase, override_settings

import faceengine
from backend.analysis import batches, compute, detectors, services
from backend.analysis.models import Analysis
from backend.analysis.tests.test_services import OBAMA, SHA256
from backend.common.jobs.models import Status
from wire import environment


def with_weights(*names: str) -> AbstractContextManager[object]:
    """As where the weights of these detectors are, and no others."""
    return mock.patch.object(faceengine, "is_available", lambda name: name in names, create=True)


NO_YUNET = ("hog", "cnn")


class DefaultTests(SimpleTestCase):
    def test_auto_is_the_default(self) -> None:
        self.assertEqual(environment.defaults()["FACES_DETECTOR"], "auto")

    @override_settings(FACES_DETECTOR="auto")
    def test_auto_is_yunet_where_its_weights_are_else_hog(self) -> None:
        with with_weights(*NO_YUNET):
            self.assertEqual(detectors.default_detector(), "hog")
            self.assertEqual(detectors.available_detectors(), NO_YUNET)
        with with_weights(*detectors.NAMES):
            self.assertEqual(detectors.default_detector(), "yunet")

    def test_encodings_are_by_hog_unless_the_setting_is_cnn(self) -> None:
        with with_weights(*detectors.NAMES):
            for setting, expected in (
                ("auto", "hog"),
                ("yunet", "hog"),
                ("hog", "hog"),
                ("cnn", "cnn"),
            ):
                with self.subTest(setting), override_settings(FACES_DETECTOR=setting):
                    self.assertEqual(detectors.detector_of_encodings(), expected)

    def test_the_pool_loads_all_whose_weights_are_here_before_it_forks(self) -> None:
        for names in (NO_YUNET, detectors.NAMES):
            with with_weights(*names), mock.patch.object(faceengine, "load") as load:
                services.load_engine()
            self.assertEqual([call.args[0] for call in load.call_args_list], [*names])

    def test_readiness_names_it(self) -> None:
        with (
            with_weights(*detectors.NAMES),
            override_settings(FACES_DETECTOR="auto"),
            mock.patch("backend.common.health._CHECKS", {}),
        ):
            self.assertEqual(self.client.get("/readiness").json()["detector"], "yunet")

    def test_the_page_offers_those_that_are_here(self) -> None:
        with with_weights(*NO_YUNET), override_settings(FACES_DETECTOR="auto"):
            page = self.client.get("/").text
        self.assertIn("automatic (hog)", page)
        self.assertIn("<option>cnn</option>", page)
        self.assertNotIn("yunet", page)


class CheckTests(SimpleTestCase):
    def ids(self) -> list[str | None]:
        return [each.id for each in detectors.weights_are_there(None)]

    def test_yunet_without_weights_does_not_start_and_names_the_remedy(self) -> None:
        changed = override_settings(FACES_DETECTOR="yunet", FACES_MODEL_CACHE="")
        with with_weights(*NO_YUNET), changed:
            (error,) = detectors.weights_are_there(None)
        self.assertEqual(error.id, "faces.E025")
        for remedy in ("faceengine fetch", "FACES_YUNET_MODEL", "FACES_DETECTOR=auto"):
            self.assertIn(remedy, str(error.hint))

    def test_without_weights_the_other_settings_start(self) -> None:
        with with_weights(*NO_YUNET):
            for setting in ("auto", "hog", "cnn"):
                with self.subTest(setting), override_settings(FACES_DETECTOR=setting):
                    self.assertEqual(self.ids(), [])

    def test_a_file_of_ones_own_that_is_missing_is_named(self) -> None:
        with with_weights(*NO_YUNET), override_settings(FACES_YUNET_MODEL="/nowhere.onnx"):
            self.assertEqual(self.ids(), ["faces.E026"])

    def test_a_file_of_ones_own_that_cannot_be_converted_is_named(self) -> None:
        with with_weights(*NO_YUNET), override_settings(FACES_YUNET_MODEL=__file__):
            (error,) = detectors.weights_are_there(None)
        self.assertEqual(error.id, "faces.E026")
        self.assertIn("onnx", error.msg)

    def test_in_an_image_the_remedy_is_to_build_it_again(self) -> None:
        changed = override_settings(FACES_DETECTOR="yunet", FACES_MODEL_CACHE="/app/models")
        with with_weights(*NO_YUNET), changed, mock.patch("os.access", return_value=False):
            (error,) = detectors.weights_are_there(None)
        self.assertIn("Build the image again", str(error.hint))

    def test_with_weights_it_starts(self) -> None:
        with with_weights(*detectors.NAMES), override_settings(FACES_DETECTOR="yunet"):
            self.assertEqual(self.ids(), [])


class KeyTests(TransactionTestCase):
    def rows(self) -> list[Analysis]:
        """Requested analyses of the same bytes, by two detectors."""
        keys = [compute.key("client:1", SHA256, name) for name in ("hog", "cnn")]
        rows = [Analysis.objects.create(**key) for key in keys]
        for row in rows:
            row.source.save("", ContentFile(OBAMA))
        return rows

    def test_each_of_a_batch_is_searched_by_its_own_detector(self) -> None:
        rows = self.rows()
        with mock.patch.object(faceengine, "encode_many", wraps=faceengine.encode_many) as many:
            self.assertEqual(batches.compute([str(row.pk) for row in rows]), [])
        self.assertEqual({call.args[1] for call in many.call_args_list}, {"hog", "cnn"})
        hog, cnn = (services.faces(row.pk) for row in rows)
        self.assertNotEqual(hog[0].box, cnn[0].box)
        statuses = set(Analysis.objects.values_list("status", flat=True))
        self.assertEqual(statuses, {Status.DONE.value})

    def test_a_row_is_computed_by_its_detector_whatever_the_setting_is_then(self) -> None:
        for row in self.rows():
            services.compute(str(row.pk))  # the oldest that is due
        done = Analysis.objects.filter(status=Status.DONE, smallest_face_px__gt=0)
        self.assertEqual(set(done.values_list("detector", flat=True)), {"hog", "cnn"})
