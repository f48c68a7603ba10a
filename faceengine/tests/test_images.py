"""From bytes to upright RGB pixels."""

import gc
import tempfile
import unittest
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy
from PIL import Image, ImageFile

import faceengine
from tests.support import image_factories, samples


def difference(a: Image.Image, b: Image.Image) -> float:
    """The mean difference of two images' pixels, in grey levels; infinite if sizes differ."""
    if a.size != b.size:
        return float("inf")
    return float(numpy.abs(numpy.asarray(a, float) - numpy.asarray(b, float)).mean())


class LoadImageTest(unittest.TestCase):
    def setUp(self) -> None:
        self.picture = image_factories.portrait(width=96)

    def test_it_reads_every_format(self) -> None:
        for name in image_factories.FORMATS:
            with self.subTest(name):
                data = image_factories.encoded(self.picture, name)
                loaded = faceengine.load_image(data)
                self.assertEqual(loaded.mode, "RGB")
                # GIF's palette is the coarsest of them.
                self.assertLess(difference(loaded, self.picture), 12)
                info = faceengine.check_image(data)
                self.assertEqual((info.format, info.width, info.height), (name, *loaded.size))

    def test_it_turns_every_orientation_upright_in_every_format_that_has_one(self) -> None:
        # Browsers ignore that of WebP: tests/e2e/pages/test_orientation.py.
        for name in ("JPEG", "PNG", "TIFF", "AVIF", "HEIC"):
            straight = faceengine.load_image(image_factories.encoded(self.picture, name))
            for orientation in image_factories.ORIENTATIONS:
                with self.subTest(name, orientation=orientation):
                    data = image_factories.oriented(self.picture, orientation, name)
                    loaded = faceengine.load_image(data)
                    # A lossy format codes turned pixels otherwise; a wrong turn makes 40.
                    self.assertLess(difference(loaded, straight), 8)
                    info = faceengine.check_image(data)
                    self.assertEqual((info.width, info.height), loaded.size)

    def test_it_reads_every_pixel_layout(self) -> None:
        grey = self.picture.convert("L")
        for name, data in image_factories.layouts(self.picture).items():
            with self.subTest(name):
                faceengine.check_image(data)
                loaded = faceengine.load_image(data)
                self.assertEqual((loaded.mode, loaded.size), ("RGB", grey.size))
                # One bit has dots instead of greys: compared from afar.
                a, b = (each.convert("L").resize((12, 15)) for each in (loaded, grey))
                self.assertLess(difference(a, b), 4)

    def test_it_scales_sixteen_bits_instead_of_clipping_them(self) -> None:
        values = numpy.array([[0, 257, 32896, 65535]], numpy.uint16)
        loaded = faceengine.load_image(image_factories.encoded(Image.fromarray(values), "PNG"))
        self.assertEqual(
            [loaded.getpixel((x, 0)) for x in range(4)], [(v,) * 3 for v in (0, 1, 128, 255)]
        )

    def test_it_puts_transparency_on_white(self) -> None:
        clear = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
        palette = Image.new("P", (4, 4), 3)
        palette.putpalette([0, 0, 0] * 256)
        for data in (
            image_factories.encoded(clear, "PNG"),
            image_factories.encoded(clear, "WEBP", lossless=True),
            image_factories.encoded(palette, "PNG", transparency=3),
            image_factories.encoded(palette, "GIF", transparency=3),
        ):
            self.assertEqual(faceengine.load_image(data).getpixel((0, 0)), (255, 255, 255))

    def test_it_takes_the_first_frame_of_a_moving_image(self) -> None:
        frames = [Image.new("RGB", (32, 24), colour) for colour in ("red", "lime", "blue")]
        for name in ("GIF", "WEBP", "PNG", "AVIF"):
            with self.subTest(name):
                data = image_factories.animated(frames, name)
                red, green, _ = faceengine.load_image(data).getpixel((5, 5))  # type: ignore[misc]
                self.assertGreater(red, 240)
                self.assertLess(green, 15)
                faceengine.check_image(data)

    def test_bytes_a_path_and_a_file_give_the_same_and_the_file_is_left_at_its_start(self) -> None:
        data = image_factories.encoded(self.picture)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "photo.jpg")
            path.write_bytes(data)
            file = BytesIO(data)
            file.seek(100)
            for source in (data, bytearray(data), memoryview(data), path, str(path), file):
                loaded = faceengine.load_image(source)
                self.assertEqual(difference(loaded, faceengine.load_image(data)), 0)
        self.assertEqual(file.tell(), 0)
        faceengine.check_image(file)
        self.assertEqual(file.tell(), 0)

    def test_it_waits_for_another_process_within_a_block_of_the_caller(self) -> None:
        seen: list[str] = []

        @contextmanager
        def waiting() -> Iterator[None]:
            seen.append("waits")
            yield
            seen.append("goes on")

        for name, expected in (("JPEG", []), ("PNG", []), ("HEIC", ["waits", "goes on"])):
            with self.subTest(name):
                seen.clear()
                data = image_factories.encoded(Image.new("RGB", (30, 20)), name)
                faceengine.check_image(data, waiting=waiting)
                self.assertEqual(seen, expected)

    def test_the_decoder_is_gone_with_its_pixels(self) -> None:
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        for data in (samples.face(), samples.face()[:-2]):
            faceengine.load_image(data)
            faceengine.check_image(data)
        left = [each for each in gc.get_objects() if isinstance(each, ImageFile.ImageFile)]
        self.assertEqual(left, [])

    def test_it_leaves_the_metadata_out(self) -> None:
        loaded = faceengine.load_image(image_factories.oriented(self.picture, 6))
        self.assertEqual(dict(loaded.getexif()), {})
        self.assertEqual(loaded.info, {})

    def test_it_ignores_broken_metadata(self) -> None:
        data = image_factories.encoded(
            self.picture, "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\xff" * 20
        )
        self.assertEqual(faceengine.load_image(data).size, self.picture.size)

    def test_a_missing_file_is_no_image_error(self) -> None:
        with self.assertRaises(FileNotFoundError):
            faceengine.load_image("/nonexistent/photo.jpg")


if __name__ == "__main__":
    unittest.main()
