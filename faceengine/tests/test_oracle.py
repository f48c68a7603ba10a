"""The same faces and numbers as face_recognition: images, orientations, scales, formats."""

import itertools
import unittest

import numpy
from PIL import Image, ImageOps

import faceengine
from faceengine import Detector
from faceengine.tests import oracle
from tests.support import image_factories, photographs

# Largest difference of any component of an encoding that is put down to float32's rounding.
COMPONENT = 1e-5


class OracleTest(unittest.TestCase):
    def assert_same(self, image: Image.Image, faces: list[faceengine.Face]) -> None:
        """`faces` are those of HOG in `image`: boxes and order identical, encodings equal."""
        boxes = oracle.locations(image)
        self.assertEqual([tuple(face.box) for face in faces], boxes)
        for face, expected in zip(faces, oracle.encodings(image, boxes), strict=True):
            assert face.encoding is not None
            self.assertEqual((face.encoding.shape, face.encoding.dtype), ((128,), numpy.float32))
            self.assertLess(numpy.abs(face.encoding - expected).max(), COMPONENT)


class HogTest(OracleTest):
    def test_every_photo_at_every_scale(self) -> None:
        for name, width in itertools.product(photographs.NAMES, (97, 160, 256, 333)):
            with self.subTest(name, width=width):
                image = image_factories.portrait(name, width)
                self.assert_same(image, faceengine.find_faces(image))

    def test_a_photo_as_it_is(self) -> None:
        for name in ("obama.jpg", "obama_partial_face.jpg"):
            image = image_factories.portrait(name)
            faces = faceengine.find_faces(photographs.path(name))
            self.assertEqual(len(faces), 1)
            self.assert_same(image, faces)

    def test_every_orientation_and_format(self) -> None:
        # Formats without loss know no orientation of pixels; JPEG's is the one that cameras use.
        image = image_factories.side_by_side(width=200)
        for orientation in image_factories.ORIENTATIONS:
            for format in ("JPEG", "PNG"):
                with self.subTest(format, orientation=orientation):
                    data = image_factories.oriented(image, orientation, format)
                    faces = faceengine.find_faces(data)
                    self.assertEqual(len(faces), 2)
                    self.assert_same(faceengine.load_image(data), faces)

    def test_every_format(self) -> None:
        for format in image_factories.FORMATS:
            with self.subTest(format):
                data = image_factories.encoded(image_factories.portrait(width=200), format)
                faces = faceengine.find_faces(data)
                self.assertEqual(len(faces), 1)
                self.assert_same(faceengine.load_image(data), faces)

    def test_every_pixel_layout(self) -> None:
        for name, data in image_factories.layouts(image_factories.portrait(width=200)).items():
            with self.subTest(name):
                faces = faceengine.find_faces(data)
                self.assertEqual(len(faces), 0 if name == "one bit" else 1)
                self.assert_same(faceengine.load_image(data), faces)

    def test_sixty_faces(self) -> None:
        image = image_factories.crowd(10, 6)
        faces = faceengine.find_faces(image)
        self.assertEqual(len(faces), 60)
        self.assert_same(image, faces)

    def test_no_face(self) -> None:
        for image in (
            image_factories.faceless(),
            Image.new("RGB", (1, 1)),
            Image.new("RGB", (500, 3)),
        ):
            for detector in filter(faceengine.is_available, faceengine.DETECTORS):
                self.assertEqual(faceengine.find_faces(image, detector), [])

    def test_a_face_at_the_border_has_its_box_cut_to_the_image(self) -> None:
        image = image_factories.portrait("obama_partial_face.jpg", 240)
        (face,) = faceengine.find_faces(image)
        self.assertEqual(face.box.left, 0)
        self.assertEqual(face.quality.reason, faceengine.Reason.CUT_OFF)
        self.assert_same(image, [face])


class CnnTest(OracleTest):
    def assert_same_cnn(self, image: Image.Image) -> int:
        """The number of faces, which are those of the CNN in `image`."""
        faces = faceengine.find_faces(image, "cnn", encode=False)
        expected = oracle.cnn(image)
        self.assertEqual(len(faces), len(expected))
        for face, (box, score) in zip(faces, expected, strict=True):
            self.assertGreaterEqual(oracle.iou(face.box, box), 0.9)
            self.assertLessEqual(abs(face.quality.score - score), 0.02)
        return len(faces)

    def test_every_photo(self) -> None:
        for name in photographs.NAMES:
            with self.subTest(name):
                self.assert_same_cnn(image_factories.portrait(name, 110))

    def test_several_faces_at_several_scales(self) -> None:
        for width in (100, 131):
            image = image_factories.side_by_side(
                "obama.jpg", "biden.jpg", "obama2.jpg", width=width
            )
            self.assertGreaterEqual(self.assert_same_cnn(image), 2)

    def test_faces_that_overlap_at_the_border_and_upside_down(self) -> None:
        image = image_factories.portrait(width=120)
        for variant in (
            image.rotate(90, expand=True),
            image.transpose(Image.Transpose.ROTATE_180),
            image_factories.crowd(3, 2, width=60),
            image_factories.cut_at_the_border().resize((70, 175)),
            image_factories.faceless(100, 70),
        ):
            self.assert_same_cnn(variant)

    def test_wide_and_tall_images(self) -> None:
        # The pyramid's levels are laid out otherwise for each shape.
        person = image_factories.portrait(width=80)
        for size in ((400, 101), (82, 300), (301, 103)):
            self.assert_same_cnn(ImageOps.pad(person, size, color="gray"))

    def test_its_encodings_are_those_of_its_boxes(self) -> None:
        image = image_factories.portrait(width=200)
        faces = faceengine.find_faces(image, "cnn")
        boxes: list[oracle.Box] = [face.box for face in faces]
        (expected,) = oracle.encodings(image, boxes)
        assert faces[0].encoding is not None
        self.assertLess(numpy.abs(faces[0].encoding - expected).max(), COMPONENT)


class PropertyTest(unittest.TestCase):
    DETECTORS: tuple[Detector, ...] = ("hog", "cnn")

    def test_a_mirrored_face_is_found_mirrored(self) -> None:
        image = image_factories.portrait(width=240)
        for detector in self.DETECTORS:
            (face,) = faceengine.find_faces(image, detector, encode=False)
            (mirrored,) = faceengine.find_faces(ImageOps.mirror(image), detector, encode=False)
            back = (
                mirrored.box.top,
                image.width - mirrored.box.left,
                mirrored.box.bottom,
                image.width - mirrored.box.right,
            )
            # The detectors' grids of 8 pixels do not mirror.
            self.assertGreater(oracle.iou(face.box, back), 0.6)
            self.assertAlmostEqual(face.quality.pose.yaw, -mirrored.quality.pose.yaw, delta=12)

    def test_padding_moves_the_box_and_keeps_the_encoding(self) -> None:
        image = image_factories.portrait(width=240)
        padded = ImageOps.expand(image, (64, 48, 32, 16), fill="gray")
        for detector in self.DETECTORS:
            (face,) = faceengine.find_faces(image, detector)
            (moved,) = faceengine.find_faces(padded, detector)
            back = (
                moved.box.top - 48,
                moved.box.right - 64,
                moved.box.bottom - 48,
                moved.box.left - 64,
            )
            self.assertGreater(oracle.iou(face.box, back), 0.75)
            assert face.encoding is not None and moved.encoding is not None
            self.assertLess(faceengine.distance(face.encoding, moved.encoding), 0.25)

    def test_distances_tell_people_apart(self) -> None:
        names = ("obama.jpg", "obama2.jpg", "biden.jpg")
        encodings = []
        for (face,) in faceengine.encode_many(
            [image_factories.portrait(name, 400) for name in names]
        ):
            assert face.encoding is not None
            encodings.append(face.encoding)
        self.assertLess(faceengine.distance(encodings[0], encodings[1]), 0.5)
        self.assertGreater(faceengine.distance(encodings[0], encodings[2]), 0.7)
        self.assertEqual(faceengine.distance(encodings[0], encodings[0]), 0)

    def test_a_batch_gives_what_its_images_give_alone(self) -> None:
        images: list[Image.Image | bytes] = [
            image_factories.portrait(width=200),
            image_factories.faceless(),
            image_factories.crowd(7, 5, width=100),
            image_factories.encoded(image_factories.portrait("biden.jpg", 200)),
        ]
        together = faceengine.encode_many(images)
        self.assertEqual([len(faces) for faces in together], [1, 0, 35, 1])
        for image, faces in zip(images, together, strict=True):
            for face, alone in zip(faces, faceengine.find_faces(image), strict=True):
                self.assertEqual(face.box, alone.box)
                assert face.encoding is not None and alone.encoding is not None
                self.assertLess(faceengine.distance(face.encoding, alone.encoding), COMPONENT)

    def test_an_unknown_detector_is_refused(self) -> None:
        with self.assertRaisesRegex(ValueError, "hog, cnn"):
            faceengine.find_faces(image_factories.faceless(), "haar")  # type: ignore[arg-type]


if __name__ == "__main__":
    unittest.main()
