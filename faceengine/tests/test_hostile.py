"""Everything that is not a whole image is refused, always with an ImageError."""

import logging
import pickle
import random
import resource
import threading
import time
import unittest
import warnings
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import faceengine
from faceengine import ImageError, Problem
from tests.support import image_factories

_BEHIND = {"JPEG": 2, "PNG": 23, "GIF": 2}
"""Bytes at the end of a file that are no pixels: a missing mark of the end harms nothing."""


def reason(data: bytes, **limits: Any) -> Problem | None:
    """Why `data` is refused by both functions, which must agree; None if both accept it."""
    reasons: list[Problem | None] = []
    for entry in (faceengine.check_image, faceengine.load_image):
        try:
            entry(data, **limits)
            reasons.append(None)
        except ImageError as error:
            reasons.append(error.reason)
    assert reasons[0] == reasons[1], reasons
    return reasons[0]


class RefusalTest(unittest.TestCase):
    def setUp(self) -> None:
        self.picture = image_factories.portrait(width=160)
        warnings.simplefilter("ignore")
        self.addCleanup(warnings.resetwarnings)

    def test_it_refuses_what_is_not_an_image(self) -> None:
        for data in (b"GIF", b"hello", bytes(1000), b"\xff\xd8", random.Random(1).randbytes(5000)):
            self.assertEqual(reason(data), Problem.NOT_AN_IMAGE)
        self.assertEqual(reason(b""), Problem.EMPTY)

    def test_it_says_what_a_document_is(self) -> None:
        with self.assertRaisesRegex(ImageError, "PDF document") as caught:
            faceengine.check_image(b"%PDF-1.7 ...")
        self.assertEqual(caught.exception.reason, Problem.UNSUPPORTED)

    def test_formats_beyond_the_list_are_out_of_reach(self) -> None:
        refusals = (Problem.NOT_AN_IMAGE, Problem.UNSUPPORTED, Problem.UNSUPPORTED_IMAGE)
        for name in ("PPM", "TGA", "PCX", "ICO", "JPEG2000", "SGI", "DDS", "EPS"):
            with self.subTest(name):
                data = image_factories.encoded(self.picture.resize((64, 64)), name)
                self.assertIn(reason(data), refusals)

    def test_it_refuses_every_format_cut_short_anywhere(self) -> None:
        lengths = random.Random(2)
        for name in image_factories.FORMATS:
            data = image_factories.encoded(self.picture, name)
            some = {*range(1, 40), *(len(data) - each for each in range(1, 40))}
            some |= {lengths.randrange(1, len(data)) for _ in range(20)}
            some -= {len(data) - each for each in range(1, 1 + _BEHIND.get(name, 0))}
            for length in some:
                self.assertIsNotNone(reason(data[:length]), f"{name}: {length} of {len(data)}")

    def test_it_refuses_variants_cut_short(self) -> None:
        few = self.picture.quantize(32)
        variants = {
            "progressive": image_factories.encoded(self.picture, "JPEG", progressive=True),
            "restarts": image_factories.encoded(self.picture, "JPEG", restart_marker_rows=1),
            "palette": image_factories.encoded(few, "PNG"),
            "lzw": image_factories.encoded(self.picture, "TIFF", compression="tiff_lzw"),
            "jpeg in tiff": image_factories.encoded(self.picture, "TIFF", compression="jpeg"),
            "lossless": image_factories.encoded(self.picture, "WEBP", lossless=True),
        }
        for name, data in variants.items():
            self.assertIsNone(reason(data), name)
            for part in image_factories.truncations(data, 25):
                self.assertIsNotNone(reason(part), f"{name}: {len(part)} of {len(data)}")

    def test_it_refuses_a_header_that_lies(self) -> None:
        width, height = self.picture.size
        for size in ((600, 600), (width, height + 16), (width + 16, height), (width, 9 * height)):
            with self.subTest(size):
                lying = image_factories.lying_jpeg(self.picture, *size)
                self.assertEqual(reason(lying), Problem.TRUNCATED)
                lying = image_factories.lying_png(self.picture, *size)
                self.assertEqual(reason(lying), Problem.TRUNCATED)

    def test_it_refuses_a_lying_jpeg_however_it_is_coded(self) -> None:
        for mode, options in (
            ("RGB", {"progressive": True}),
            ("RGB", {"restart_marker_rows": 1}),
            ("RGB", {"restart_marker_blocks": 3}),
            ("RGB", {"subsampling": 0}),
            ("L", {}),
            ("CMYK", {}),
        ):
            image = self.picture.convert(mode)
            for size in ((600, 600), (160, image.height + 16)):
                with self.subTest(mode=mode, size=size, **options):
                    lying = image_factories.lying_jpeg(image, *size, **options)
                    self.assertEqual(reason(lying), Problem.TRUNCATED)

    def test_it_accepts_honest_images_that_end_as_lying_ones_do(self) -> None:
        for colour in ("#808080", "black"):
            image = Image.new("RGB", (333, 221), colour)
            image.paste(self.picture.crop((0, 0, 100, 100)), (5, 5))
            for name in image_factories.FORMATS:
                self.assertIsNone(reason(image_factories.encoded(image, name)), name)
            for options in ({"progressive": True}, {"restart_marker_rows": 1}):
                self.assertIsNone(reason(image_factories.encoded(image, "JPEG", **options)))
            for mode in ("L", "P", "1", "RGBA", "LA"):
                self.assertIsNone(reason(image_factories.encoded(image.convert(mode), "PNG")), mode)

    def test_it_refuses_too_many_pixels_before_decoding_any(self) -> None:
        for data in (
            image_factories.bomb(40_000, 40_000),
            image_factories.bomb(13_000, 13_000),
            image_factories.lying_jpeg(self.picture, 65_000, 65_000),
            image_factories.png_header(2**31 - 1, 2**31 - 1),
        ):
            before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
            self.assertEqual(reason(data), Problem.TOO_LARGE)
            self.assertLess(time.process_time() - start, 0.2)
            grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
            self.assertLess(grown, 20_000)

    def test_the_pixel_cap_counts_the_last_pixel(self) -> None:
        data = image_factories.encoded(Image.new("RGB", (100, 50)), "PNG")
        self.assertIsNone(reason(data, max_pixels=5000))
        self.assertEqual(reason(data, max_pixels=4999), Problem.TOO_LARGE)

    def test_it_refuses_polyglots_that_do_not_decode(self) -> None:
        whole = image_factories.encoded(self.picture)
        for head in (
            b"\xff\xd8\xff\xe0",
            b"\x89PNG\r\n\x1a\n",
            b"GIF89a",
            b"BM",
            b"RIFF\0\0\0\0WEBP",
        ):
            self.assertIsNotNone(reason(head + b"<?php system($_GET[0]); ?>" * 40))
        self.assertIsNotNone(reason(b"PK\x03\x04" + whole))
        self.assertIsNotNone(reason(b"<html>" + whole))

    def test_it_refuses_images_without_pixels(self) -> None:
        self.assertIsNotNone(reason(image_factories.lying_png(self.picture, 0, 10)))
        self.assertIsNotNone(reason(image_factories.lying_jpeg(self.picture, 0, 0)))

    def test_an_error_survives_the_way_through_a_queue(self) -> None:
        with self.assertRaises(ImageError) as caught:
            faceengine.load_image(b"no")
        copy = pickle.loads(pickle.dumps(caught.exception))
        self.assertEqual((copy.reason, str(copy)), (Problem.NOT_AN_IMAGE, str(caught.exception)))

    def test_a_read_that_fails_is_not_blamed_on_the_image(self) -> None:
        class Broken:
            def seek(self, *_: int) -> int:
                return 0

            def read(self, *_: int) -> bytes:
                raise OSError(5, "Input/output error")

        with self.assertRaises(OSError):
            faceengine.check_image(Broken())  # type: ignore[arg-type]

    def test_many_threads_may_check_at_once(self) -> None:
        good, bad = (
            image_factories.encoded(self.picture),
            image_factories.encoded(self.picture)[:-500],
        )
        wrong: list[object] = []

        def work() -> None:
            for _ in range(40):
                if reason(good) is not None or reason(bad) is None:
                    wrong.append(1)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])


SMALL = image_factories.portrait(width=40)
FILES = [image_factories.encoded(SMALL, name) for name in image_factories.FORMATS]
FILES.append(image_factories.encoded(SMALL, "JPEG", progressive=True, restart_marker_rows=1))


class FuzzTest(unittest.TestCase):
    """A decoder may raise what it likes: only ImageError comes out, or an image."""

    def setUp(self) -> None:
        logging.disable(logging.CRITICAL)  # Pillow logs what it finds odd in a TIFF
        self.addCleanup(logging.disable, logging.NOTSET)

    @settings(max_examples=400, deadline=None)
    @given(
        file=st.sampled_from(FILES),
        edits=st.lists(
            st.tuples(st.integers(0, 2000), st.binary(min_size=1, max_size=6)), max_size=5
        ),
        cut=st.integers(0, 60),
    )
    def test_damaged_files(self, file: bytes, edits: list[tuple[int, bytes]], cut: int) -> None:
        data = bytearray(file)
        for place, patch in edits:
            data[place % len(data) : place % len(data) + len(patch)] = patch
        damaged = bytes(data[: len(data) - cut])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for entry in (faceengine.check_image, faceengine.load_image):
                try:
                    entry(damaged, max_pixels=1_000_000)
                except ImageError as error:
                    self.assertTrue(str(error).endswith((".", "allowed.")))

    @settings(max_examples=200, deadline=None)
    @given(st.binary(max_size=200), st.sampled_from([b"", b"\xff\xd8\xff", b"GIF89a", b"II*\0"]))
    def test_noise(self, data: bytes, head: bytes) -> None:
        with self.assertRaises(ImageError):
            faceengine.check_image(head + data)


if __name__ == "__main__":
    unittest.main()
