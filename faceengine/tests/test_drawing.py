"""Boxes that are seen, and cover nothing of a face."""

import unittest

import numpy
from PIL import Image, ImageChops

import faceengine
from faceengine import Box
from tests.support import image_factories

BOX = Box(top=100, right=300, bottom=280, left=120)


class DrawBoxesTest(unittest.TestCase):
    def test_a_picture_of_ones_own_is_drawn_on_without_a_copy(self) -> None:
        image = Image.new("RGB", (300, 200))
        self.assertIs(faceengine.draw_boxes(image, [BOX], in_place=True), image)
        self.assertIsNotNone(image.getbbox())

    def test_it_draws_on_a_copy(self) -> None:
        image = image_factories.faceless(400, 400)
        before = image.tobytes()
        drawn = faceengine.draw_boxes(image, [BOX])
        self.assertEqual(image.tobytes(), before)
        self.assertNotEqual(drawn.tobytes(), before)
        self.assertEqual((drawn.mode, drawn.size), ("RGB", image.size))

    def test_it_covers_nothing_inside_the_box(self) -> None:
        image = image_factories.faceless(400, 400)
        changed = ImageChops.difference(image, faceengine.draw_boxes(image, [BOX]))
        inside = changed.crop((BOX.left, BOX.top, BOX.right, BOX.bottom))
        self.assertIsNone(inside.getbbox())
        self.assertIsNotNone(changed.crop((BOX.left - 9, BOX.top, BOX.left, BOX.bottom)).getbbox())

    def test_the_line_shows_on_any_ground(self) -> None:
        for colour in ("white", "black", "gray", (64, 224, 128), (16, 24, 32)):
            image = Image.new("RGB", (400, 400), colour)
            drawn = faceengine.draw_boxes(image, [BOX])
            contrast = numpy.abs(numpy.asarray(drawn, int) - numpy.asarray(image, int)).max()
            self.assertGreater(contrast, 80, colour)

    def test_the_line_grows_with_the_image(self) -> None:
        widths = []
        for side in (200, 2000, 8000):
            image = Image.new("RGB", (side, side), "white")
            box = Box(side // 4, side // 2, side // 2, side // 4)
            row = numpy.asarray(faceengine.draw_boxes(image, [box]))[side // 3]
            widths.append(int((row[: side // 3] != 255).any(axis=1).sum()))
        self.assertGreaterEqual(widths[0], 3)
        self.assertAlmostEqual(widths[2] / widths[1], 4, delta=0.5)

    def test_boxes_at_the_border_and_none_at_all(self) -> None:
        image = image_factories.faceless(100, 80)
        faceengine.draw_boxes(image, [Box(0, 100, 80, 0), Box(-20, 120, 90, -5)])
        self.assertEqual(faceengine.draw_boxes(image, []).tobytes(), image.tobytes())

    def test_it_takes_faces_and_any_mode(self) -> None:
        image = image_factories.portrait(width=200)
        faces = faceengine.find_faces(image, encode=False)
        for mode in ("RGB", "L", "RGBA", "P"):
            drawn = faceengine.draw_boxes(image.convert(mode), faces)
            self.assertEqual(drawn.mode, "RGB")


if __name__ == "__main__":
    unittest.main()
