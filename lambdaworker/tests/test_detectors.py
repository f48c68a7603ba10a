"""The detector of a source: that of its upload if the function has it, else the function's own."""

import unittest
from contextlib import AbstractContextManager
from unittest import mock

import faceengine
from lambdaworker.options import Options
from lambdaworker.sources import usable


def with_weights(*names: str) -> AbstractContextManager[object]:
    return mock.patch.object(faceengine, "is_available", lambda name: name in names)


class DetectorTests(unittest.TestCase):
    def test_a_source_names_its_detector(self) -> None:
        with with_weights(*faceengine.DETECTORS):
            self.assertEqual(usable("cnn", "hog"), "cnn")
            self.assertEqual(usable("", "cnn"), "cnn")

    def test_one_that_the_function_lacks_is_searched_by_its_own(self) -> None:
        with with_weights("hog", "cnn"):
            self.assertEqual(usable("yunet", "cnn"), "cnn")
            self.assertEqual(usable("newer", "auto"), "hog")

    def test_auto_is_yunet_where_its_weights_are(self) -> None:
        with with_weights(*faceengine.DETECTORS):
            self.assertEqual(usable("auto"), "yunet")
            self.assertEqual(usable("", Options().detector), "yunet")

    def test_a_function_without_its_own_detector_does_not_start(self) -> None:
        with with_weights("hog", "cnn"), self.assertRaisesRegex(ValueError, "'yunet'"):
            usable("yunet")
