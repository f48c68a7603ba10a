"""The detector finds what dlib finds, box by box and score by score, whatever it runs on."""

from __future__ import annotations

import functools
import os
import threading
import unittest
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import dlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from faceengine import hog
from faceengine.hog import build, native
from faceengine.hog.boxes import detections_of
from tests.support import photographs, prerequisites

Pixels = NDArray[np.uint8]

_SCORE_TOLERANCE = 1e-5


@functools.cache
def photo(name: str, longest_px: int = 640) -> Pixels:
    with Image.open(photographs.path(name)) as image:
        image.thumbnail((longest_px, longest_px))
        return np.asarray(image.convert("RGB"))


@functools.cache
def dlib_detector() -> dlib.fhog_object_detector:
    return dlib.get_frontal_face_detector()


@functools.cache
def kernels() -> list[native.Kernel]:
    """Every instruction set that this processor has."""
    try:
        known = native.take_reference(dlib_detector())
        return [native.Kernel(s, known.model) for s in native.usable_instruction_sets()]
    except native.NotUsable as error:
        prerequisites.missing(str(error))


def setUpModule() -> None:
    """Compile what is missing; with no compiler the tests of the kernel are skipped, and say so."""
    try:
        build.build()
    except build.CompileError as error:
        prerequisites.missing(f"the kernel is not compiled: {error}")


class SameAsDlib(unittest.TestCase):
    def check(self, pixels: Pixels, upsample: int = 1, adjust_threshold: float = 0.0) -> int:
        """Compare every instruction set with dlib; return how many faces there are."""
        pixels = np.ascontiguousarray(pixels)
        expected = detections_of(dlib_detector().run(pixels, upsample, adjust_threshold))
        for kernel in kernels():
            with self.subTest(kernel.name, shape=pixels.shape, upsample=upsample):
                found = kernel.detect(pixels, upsample, adjust_threshold)
                self.assertEqual([d[:4] for d in expected], [d[:4] for d in found])
                for ours, theirs in zip(found, expected, strict=True):
                    self.assertAlmostEqual(ours.score, theirs.score, delta=_SCORE_TOLERANCE)
        return len(expected)

    def test_it_finds_dlibs_faces_in_every_photo_at_every_upsampling_and_threshold(self) -> None:
        for name in photographs.NAMES:
            for upsample, adjust_threshold in [(0, 0.0), (0, -1.0), (1, 0.0), (1, -0.5), (1, 0.5)]:
                self.check(photo(name), upsample, adjust_threshold)
        self.assertGreaterEqual(self.check(photo("obama.jpg")), 1)

    def test_it_finds_them_upsampled_twice(self) -> None:
        self.assertEqual(self.check(photo("obama.jpg", 320), upsample=2), 1)
        self.check(photo("biden.jpg", 200), upsample=3, adjust_threshold=-0.5)

    def test_it_finds_them_in_full_resolution(self) -> None:
        self.assertEqual(self.check(photo("obama.jpg", 5000), upsample=0), 1)

    def test_it_finds_them_at_every_scale(self) -> None:
        for longest_px in (70, 133, 160, 201, 255, 301, 415, 500):
            self.check(photo("biden.jpg", longest_px), adjust_threshold=-0.5)

    def test_it_finds_them_mirrored_and_turned(self) -> None:
        pixels = photo("obama2.jpg", 400)
        for view in (pixels[:, ::-1], pixels[::-1], pixels.swapaxes(0, 1)):
            self.check(view, adjust_threshold=-0.5)

    def test_it_finds_them_wherever_the_image_ends(self) -> None:
        pixels = photo("obama.jpg", 300)
        for border in range(0, 17, 3):
            self.check(np.pad(pixels, ((border, 0), (0, border), (0, 0))))
            self.check(pixels[border:, : pixels.shape[1] - border])
        (face,) = hog.detect(pixels)
        for cut in (face.top, (face.top + face.bottom) // 3):
            self.check(pixels[max(cut, 0) :], adjust_threshold=-1.0)
        for cut in (face.left, (face.left + face.right) // 3):
            self.check(pixels[:, max(cut, 0) :], adjust_threshold=-1.0)

    def test_it_finds_sixty_faces(self) -> None:
        head = Image.fromarray(photo("obama.jpg")).crop((110, 0, 440, 330))
        crowd = Image.new("RGB", (10 * 125, 6 * 125), "white")
        for index in range(60):
            face = head.resize((80 + index // 2, 80 + index // 2))
            crowd.paste(face, (index % 10 * 125, index // 10 * 125))
        self.assertEqual(self.check(np.asarray(crowd)), 60)

    def test_it_finds_nothing_where_there_is_nothing(self) -> None:
        for level in (0, 128, 255):
            self.assertEqual(self.check(np.full((200, 300, 3), level, np.uint8)), 0)

    def test_it_agrees_on_noise_and_on_edges_of_one_channel(self) -> None:
        random = np.random.default_rng(1)
        for upsample in (0, 1, 2):
            noise = random.integers(0, 256, (97, 131, 3), dtype=np.uint8)
            self.check(noise, upsample, -3.0)
            smooth = random.integers(0, 256, (20, 24, 3), dtype=np.uint8)
            self.check(smooth.repeat(9, 0).repeat(9, 1), upsample, -2.0)
        for channel in range(3):
            bars = np.zeros((160, 160, 3), np.uint8)
            bars[:, ::16, channel] = 255
            bars[::12, :, (channel + 1) % 3] = 255
            self.check(bars, 1, -2.5)

    def test_it_agrees_on_images_smaller_than_a_window_or_without_pixels(self) -> None:
        random = np.random.default_rng(2)
        sides = (0, 1, 2, 3, 8, 9, 19, 20, 33, 64, 79, 80, 81)
        for height in sides:
            for width in (*sides, 250):
                pixels = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
                self.check(pixels, 1, -4.0)
                self.check(pixels, 0, -4.0)

    def test_it_agrees_on_odd_sizes(self) -> None:
        pixels = photo("obama3.jpg", 400)
        for cut in range(1, 18, 2):
            self.check(pixels[cut:, : pixels.shape[1] - cut], 0, -1.0)

    def test_it_returns_more_boxes_than_it_makes_room_for_at_first(self) -> None:
        noise = np.random.default_rng(3).integers(0, 256, (300, 400, 3), dtype=np.uint8)
        self.assertGreater(self.check(noise, 1, -8.0), 16)


class Use(unittest.TestCase):
    def test_what_runs_is_the_best_instruction_set(self) -> None:
        self.assertEqual(hog.backend(), f"native-{kernels()[-1].name}")

    def test_what_is_no_rgb_image_is_refused_as_dlib_refuses_it(self) -> None:
        wrong_images: list[Any] = [
            np.zeros((90, 90, 4), np.uint8),
            np.zeros((90, 90, 3), np.float32),
            "obama.jpg",
        ]
        for wrong in wrong_images:
            with self.subTest(wrong):
                with self.assertRaises((RuntimeError, TypeError)) as theirs:
                    dlib_detector().run(wrong, 1, 0.0)
                with self.assertRaises(type(theirs.exception)):
                    hog.detect(wrong)

    def test_views_that_are_not_contiguous_give_what_their_copies_give(self) -> None:
        pixels = photo("obama.jpg")
        for view in (pixels[:, ::-1], pixels.transpose(1, 0, 2), pixels[:, :, ::-1]):
            self.assertEqual(hog.detect(view), hog.detect(view.copy()))

    def test_threads_detect_at_once_and_find_the_same(self) -> None:
        pixels = photo("obama.jpg")
        alone = hog.detect(pixels)
        start = threading.Barrier(4)

        def run(_: int) -> list[hog.Detection]:
            start.wait()
            return hog.detect(pixels)

        with ThreadPoolExecutor(4) as pool:
            self.assertEqual(list(pool.map(run, range(4))), [alone] * 4)

    def test_a_forked_process_detects_with_what_its_parent_loaded(self) -> None:
        pixels = photo("obama.jpg")
        alone = hog.detect(pixels)
        child = os.fork()
        if child == 0:
            os._exit(0 if hog.detect(pixels) == alone else 1)
        self.assertEqual(os.waitpid(child, 0)[1], 0)
