"""Big images: bounded work, boxes in the full image's pixels, chips from its full detail."""

import resource
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import numpy
from numpy.typing import NDArray
from PIL import Image

import faceengine
from faceengine import hog, landmarks
from faceengine.imaging.decode import load_reduced
from faceengine.imaging.scaled import Photo, detection_size, photo
from faceengine.tests import oracle
from tests.support import image_factories

# What may lie between an encoding made with the bound on detection and one made without.
BOUND = 0.1


class DetectionSizeTest(unittest.TestCase):
    def test_an_image_up_to_the_bound_is_searched_as_it_is(self) -> None:
        for size in ((1920, 1080), (1080, 1920), (1, 1), (2073600, 1)):
            self.assertEqual(detection_size(size, 1920 * 1080), size)

    def test_a_larger_one_is_searched_within_the_bound_at_a_step_of_dlibs_pyramid(self) -> None:
        for size in ((1921, 1080), (4032, 3024), (12000, 9000), (40000, 300)):
            width, height = detection_size(size, 1920 * 1080)
            self.assertLessEqual(width * height, 1920 * 1080)
            self.assertGreater(width * height, 1920 * 1080 * (5 / 6) ** 2 * 0.98)
            steps = numpy.log(size[0] / width) / numpy.log(6 / 5)
            self.assertAlmostEqual(steps, round(steps), delta=0.02)


class BigImageTest(unittest.TestCase):
    image: Image.Image
    bound: int
    boxes: list[oracle.Box]
    encodings: list[NDArray[numpy.float64]]

    @classmethod
    def setUpClass(cls) -> None:
        # 3.1 megapixels with a bound of a quarter of that: the same arithmetic as 12 with 2, in a
        # fraction of the time.
        cls.image = image_factories.canvas(
            2016, 1512, "obama.jpg", "biden.jpg", "obama3.jpg", share=0.9
        )
        cls.bound = 2016 * 1512 // 4
        cls.boxes = oracle.locations(cls.image)
        cls.encodings = oracle.encodings(cls.image, cls.boxes)

    def assert_near(self, faces: list[faceengine.Face]) -> None:
        self.assertEqual(len(faces), len(self.boxes))
        for face in faces:
            overlaps = [oracle.iou(face.box, box) for box in self.boxes]
            index = int(numpy.argmax(overlaps))
            # The same person; boxes of neighbouring sizes score alike, and either may win.
            self.assertGreater(overlaps[index], 0.6)
            assert face.encoding is not None
            expected = self.encodings[index].astype(numpy.float32)
            self.assertLess(faceengine.distance(face.encoding, expected), BOUND)

    def test_encodings_stay_near_those_without_the_bound(self) -> None:
        self.assertEqual(len(self.boxes), 3)
        self.assert_near(faceengine.find_faces(self.image, max_detection_pixels=self.bound))

    def test_a_file_gives_the_same_however_it_is_turned(self) -> None:
        for orientation in (1, 6):
            data = image_factories.oriented(self.image, orientation, quality=92)
            self.assert_near(faceengine.find_faces(data, max_detection_pixels=self.bound))

    def test_chips_do_not_come_from_the_searched_pixels(self) -> None:
        faces = faceengine.find_faces(self.image, max_detection_pixels=self.bound)
        small = self.image.resize(detection_size(self.image.size, self.bound))
        coarse = faceengine.find_faces(small)
        sharper = [
            a.quality.sharpness > b.quality.sharpness for a, b in zip(faces, coarse, strict=True)
        ]
        self.assertEqual(sharper, [True] * 3)

    def test_a_chip_cut_from_a_part_is_the_chip_cut_from_the_whole(self) -> None:
        whole = Photo(self.image, self.image.size)
        for face in faceengine.find_faces(self.image, encode=False):
            part = landmarks.cut(whole.around(face.box), face.box)
            full = landmarks.cut(whole.whole(10**9), face.box)
            self.assertEqual(part.landmarks, full.landmarks)
            # Rounding: the part's first pixel is elsewhere.
            off = numpy.abs(part.pixels.astype(int) - full.pixels)
            self.assertLessEqual(off.max(), 1)

    def test_the_cnn_is_bounded_too(self) -> None:
        image = image_factories.canvas(800, 500, share=0.9)
        faces = faceengine.find_faces(image, "cnn", max_detection_pixels=200_000)
        self.assertEqual(len(faces), 2)
        for face, whole in zip(faces, faceengine.find_faces(image, "cnn"), strict=True):
            self.assertGreater(oracle.iou(face.box, whole.box), 0.7)


class DecodingTest(unittest.TestCase):
    def test_a_jpeg_is_decoded_no_larger_than_needed(self) -> None:
        data = image_factories.encoded(image_factories.faceless(1600, 1200))
        for enough, expected in ((1600 * 1200, 1600), (400_000, 800), (100_000, 400), (1, 200)):
            image, size = load_reduced(data, enough, max_pixels=10**7)
            self.assertEqual((image.width, size), (expected, (1600, 1200)))

    def test_200_megapixels_are_read_at_a_reduced_scale_where_the_setting_allows_them(self) -> None:
        data = image_factories.encoded(Image.new("L", (20_000, 10_000), 90), "JPEG", quality=30)
        self.assertEqual(faceengine.check_image(data, max_pixels=250_000_000).width, 20_000)
        image, size = load_reduced(data, 2_000_000, max_pixels=250_000_000)
        self.assertEqual((image.size, size), ((2_500, 1_250), (20_000, 10_000)))
        with self.assertRaisesRegex(faceengine.ImageError, "200,000,000 pixels; at most 128,000"):
            faceengine.check_image(data)

    def test_a_reduced_image_knows_its_full_size_upright(self) -> None:
        data = image_factories.oriented(image_factories.faceless(1600, 1200), 6)
        image, size = load_reduced(data, 100_000, max_pixels=10**7)
        self.assertEqual((image.size, size), ((400, 300), (1600, 1200)))

    def test_a_phones_photo_is_decoded_whole_and_a_hundred_megapixels_are_not(self) -> None:
        for size, scale in (((4032, 3024), 1), ((8000, 4100), 0.5)):
            data = image_factories.encoded(Image.new("L", size))
            decoded = photo(data, max_detection_pixels=10**6, encode=True)
            self.assertEqual(decoded.scale, scale)

    def test_small_faces_of_a_reduced_image_are_cut_from_the_whole(self) -> None:
        image = image_factories.canvas(2400, 1600, "obama.jpg", "biden.jpg", share=0.5)
        data = image_factories.encoded(image, quality=92)
        lazy = photo(data, max_detection_pixels=900_000, encode=False)
        self.assertEqual(lazy.scale, 0.5)
        self.assertEqual(lazy.upright().size, (2400, 1600))
        self.assertEqual(lazy.scale, 1)
        self.assertFalse(lazy.sharpen())

    def test_a_photo_that_is_opened_once_has_the_same_faces_and_all_its_pixels(self) -> None:
        data = image_factories.oriented(image_factories.canvas(640, 480, "obama.jpg"), 6)
        photo = faceengine.open_photo(data)
        found, expected = faceengine.find_faces(photo), faceengine.find_faces(data)
        self.assertEqual([face.box for face in found], [face.box for face in expected])
        self.assertEqual(photo.upright().tobytes(), faceengine.load_image(data).tobytes())

    @unittest.skipIf(hog.backend() == "dlib", "dlib's own HOG takes 320 MB more than the kernel")
    def test_a_twelve_megapixel_photo_takes_bounded_memory(self) -> None:
        script = (
            "import re, sys, faceengine\n"
            "faces = faceengine.find_faces(sys.argv[1])\n"
            # Not ru_maxrss: a child begins with its parent's.
            "peak = re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())\n"
            "print(len(faces), int(peak[1]) // 1024)"
        )
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "photo.jpg")
            file.write_bytes(
                image_factories.encoded(image_factories.twelve_megapixels(), quality=90)
            )
            command = [sys.executable, "-c", script, str(file)]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        faces, peak_mb = map(int, output.split())
        self.assertEqual(faces, 2)
        self.assertLess(peak_mb, 350)


class MemoryTest(unittest.TestCase):
    def test_encoding_again_and_again_takes_no_more_memory(self) -> None:
        (face,) = faceengine.find_faces(image_factories.portrait(width=200))
        self.assertIsNotNone(face.encoding)
        from faceengine import encoding

        chip = numpy.asarray(image_factories.portrait(width=150).crop((0, 0, 150, 150)))
        sizes = (1, 32, 7, 64, 3)
        for size in sizes:
            encoding.encode([chip] * size)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for size in sizes * 15:
            encoding.encode([chip] * size)
        grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        # If each input were kept as float32, it would be 434 MB; noise stays far below a quarter.
        inputs_kb = sum(sizes) * 15 * chip.size * 4 // 1024
        self.assertLess(grown_kb, inputs_kb // 4)


class ImageInMemoryTest(unittest.TestCase):
    def test_any_mode_is_taken_and_the_image_left_as_it_was(self) -> None:
        for mode in ("RGB", "L", "RGBA", "CMYK"):
            image = image_factories.portrait(width=200).convert(mode)
            before = image.tobytes()
            self.assertEqual(len(faceengine.find_faces(image)), 1)
            self.assertEqual((image.mode, image.tobytes()), (mode, before))

    def test_a_loaded_image_is_a_plain_one(self) -> None:
        loaded = faceengine.load_image(image_factories.encoded(image_factories.portrait(width=50)))
        self.assertIs(type(loaded), Image.Image)
        self.assertEqual(loaded.copy().size, loaded.resize(loaded.size).size)


if __name__ == "__main__":
    unittest.main()
