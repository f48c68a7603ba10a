"""The weights are read out of dlib as dlib holds them, and nothing else is taken for them."""

from __future__ import annotations

import unittest

import dlib
import numpy as np

from faceengine.hog import model


class Read(unittest.TestCase):
    def setUp(self) -> None:
        self.detector = dlib.get_frontal_face_detector()
        (self.bytes,) = self.detector.__getstate__()

    def test_it_reads_five_filters_as_dlib_separates_them(self) -> None:
        read = model.read(self.detector)
        # dlib.fhog_object_detector says as much of itself, and no more.
        self.assertEqual(self.detector.num_detectors, len(read.thresholds))
        self.assertEqual(self.detector.detection_window_width, 8 * model.WINDOW_CELLS)
        self.assertEqual(len(read.planes), len(read.weights))
        self.assertEqual(read.first_part[-1], len(read.planes))
        self.assertEqual((read.smallest_width_px, read.smallest_height_px), (64, 64))
        for bank in range(model.BANKS):
            planes = read.planes[read.first_part[bank] : read.first_part[bank + 1]]
            self.assertTrue((np.diff(planes) >= 0).all())

    def test_bytes_that_end_early_or_go_on_are_refused(self) -> None:
        for damaged in (b"", self.bytes[:5], self.bytes[:-1], self.bytes + b"\x01\x00"):
            with self.assertRaises(model.UnknownDetector):
                model.parse(damaged)

    def test_another_detector_is_refused(self) -> None:
        with self.assertRaisesRegex(model.UnknownDetector, "format"):
            model.parse(b"\x01\x03" + self.bytes[2:])
        with self.assertRaisesRegex(model.UnknownDetector, "cell size"):
            model.parse(self.bytes[:8] + b"\x01\x04" + self.bytes[10:])

    def test_a_weight_that_is_no_number_is_refused(self) -> None:
        infinity = b"\x01\x00" + b"\x02\x00\x7d"  # an exponent of 32000
        with self.assertRaisesRegex(model.UnknownDetector, "not a finite number"):
            model.Reader(infinity).real()


class ReadNumbers(unittest.TestCase):
    """Worked by hand from dlib's serialize.h and float_details.h."""

    def test_an_integer_is_a_control_byte_and_its_magnitude(self) -> None:
        for number, serialized in [(0, b"\x01\x00"), (1000, b"\x02\xe8\x03"), (-31, b"\x81\x1f")]:
            self.assertEqual(model.Reader(serialized).integer(), number)

    def test_a_real_is_a_mantissa_and_an_exponent_of_two(self) -> None:
        self.assertEqual(model.Reader(b"\x01\x12\x81\x01").real(), 9.0)
        self.assertEqual(model.Reader(b"\x81\x03\x81\x02").real(), -0.75)
