"""What the build takes from dlib is what dlib has, and a start without it asks dlib again."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

import dlib
import numpy as np

from faceengine.hog import reference


class File(unittest.TestCase):
    def setUp(self) -> None:
        self.file = Path(self.enterContext(tempfile.TemporaryDirectory()), "reference.npz")
        self.known = reference.from_dlib(dlib.get_frontal_face_detector())

    def test_it_comes_back_as_it_was_written(self) -> None:
        reference.write(self.known, self.file)
        read = reference.read(self.file)
        assert read is not None
        self.assertEqual(read.expected, self.known.expected)
        self.assertEqual(read.model.first_part, self.known.model.first_part)
        self.assertEqual(read.model.overlap_iou, self.known.model.overlap_iou)
        for name in ("planes", "weights", "thresholds"):
            ours, theirs = getattr(read.model, name), getattr(self.known.model, name)
            np.testing.assert_array_equal(ours, theirs)
            self.assertEqual(ours.dtype, theirs.dtype)

    def test_the_image_for_the_check_has_boxes_to_compare(self) -> None:
        self.assertGreaterEqual(len(self.known.expected), 2)

    def test_a_missing_or_damaged_file_is_no_reference(self) -> None:
        self.assertIsNone(reference.read(self.file))
        reference.write(self.known, self.file)
        whole = self.file.read_bytes()
        for damaged in (
            b"",
            b"PK",
            whole[: len(whole) // 2],
            whole[:2000] + b"\0" * (len(whole) - 2000),
        ):
            self.file.write_bytes(damaged)
            self.assertIsNone(reference.read(self.file))

    def test_a_file_of_another_make_is_no_reference(self) -> None:
        np.savez(self.file, boxes=[], scores=[])
        self.assertIsNone(reference.read(self.file))
