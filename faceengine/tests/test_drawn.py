"""Faces in boxes that were drawn by hand."""

import io
import unittest

from PIL import Image, ImageFilter

import faceengine
from faceengine import Box, Reason
from tests.support import image_factories


def drawn(image: Image.Image, *boxes: Box) -> list[faceengine.Face]:
    stored = io.BytesIO(image_factories.encoded(image, "PNG"))
    return faceengine.encode_boxes(faceengine.open_photo(stored), boxes)


class DrawnBoxTests(unittest.TestCase):
    def test_a_face_is_that_which_the_detector_finds_however_loosely_it_is_drawn(self) -> None:
        image = image_factories.portrait(width=500)
        (found,) = faceengine.find_faces(image)
        assert found.encoding is not None
        top, right, bottom, left = found.box
        some = found.box.width // 6
        for name, box in (
            ("exact", found.box),
            (
                "loose",
                Box(top - some, right + some, bottom + some, left - some),
            ),
            (
                "tight",
                Box(top + some, right - some, bottom - some, left + some),
            ),
        ):
            with self.subTest(name):
                (face,) = drawn(image, box)
                self.assertEqual(face.box, box)
                self.assertIsNone(face.quality.reason)
                assert face.encoding is not None
                self.assertLess(faceengine.distance(found.encoding, face.encoding), 0.3)

    def test_a_face_that_was_too_small_to_be_found_is_kept_without_an_encoding(self) -> None:
        (found,) = faceengine.find_faces(image_factories.portrait(width=400), encode=False)
        small = image_factories.portrait(width=80)
        self.assertEqual(len(faceengine.find_faces(small)), 0)
        (face,) = drawn(small, Box(*(edge // 5 for edge in found.box)))
        self.assertIsNone(face.encoding)
        self.assertEqual(face.quality.reason, Reason.SMALL)

    def test_what_is_no_face_to_any_detector_is_unclear(self) -> None:
        (face,) = drawn(image_factories.faceless(), Box(20, 100, 100, 20))
        self.assertEqual((face.encoding, face.quality.reason), (None, Reason.UNCLEAR))

    def test_each_of_several_boxes_has_its_own_answer(self) -> None:
        image = image_factories.portrait(width=500)
        (found,) = faceengine.find_faces(image)
        blurred = image.filter(ImageFilter.GaussianBlur(8))
        both = Image.new("RGB", (1000, 500))
        both.paste(blurred, (0, 0))
        both.paste(image, (500, 0))
        top, right, bottom, left = found.box
        poor, good = drawn(both, found.box, Box(top, right + 500, bottom, left + 500))
        self.assertIsNone(poor.encoding)
        self.assertIsNotNone(poor.quality.reason)
        self.assertIsNotNone(good.encoding)

    def test_a_box_at_the_edge_or_of_a_pixel_is_no_error(self) -> None:
        image = image_factories.portrait(width=200)
        for box in (Box(0, 1, 1, 0), Box(0, 200, 200, 0), Box(150, 200, 200, 150)):
            with self.subTest(box):
                self.assertEqual(len(drawn(image, box)), 1)
