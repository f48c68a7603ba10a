"""The kernel's stages one by one, where dlib or arithmetic can be asked for each value."""

from __future__ import annotations

import ctypes
import unittest

import dlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from faceengine.hog import build, native
from tests.support import photographs, prerequisites


def setUpModule() -> None:
    try:
        build.build()
    except build.CompileError as error:
        prerequisites.missing(f"the kernel is not compiled: {error}")


def libraries() -> dict[str, ctypes.CDLL]:
    return {s.name: native.library(s) for s in native.usable_instruction_sets()}


class Orientation(unittest.TestCase):
    # fhog.h: nine directions 20 degrees apart, to four digits, in single precision.
    DIRECTIONS = np.array(
        [
            *([1.0000, 0.0000], [0.9397, 0.3420], [0.7660, 0.6428], [0.5000, 0.8660]),
            *([0.1736, 0.9848], [-0.1736, 0.9848], [-0.5000, 0.8660], [-0.7660, 0.6428]),
            [-0.9397, 0.3420],
        ],
        dtype=np.float32,
    )

    def dlibs(self, gx: NDArray[np.float32], gy: NDArray[np.float32]) -> NDArray[np.int64]:
        """The first of 18 directions with the greatest scalar product, in dlib's order."""
        best, orientation = np.zeros_like(gx), np.zeros(gx.shape, np.int64)
        for index, (x, y) in enumerate(self.DIRECTIONS):
            for product, o in ((gx * x + gy * y, index), (-(gx * x + gy * y), index + 9)):
                orientation = np.where(product > best, o, orientation)
                best = np.maximum(product, best)
        return orientation

    def test_every_gradient_has_dlibs_orientation(self) -> None:
        values = np.arange(-255, 256)
        gx, gy = (g.ravel() for g in np.meshgrid(values, values))
        expected = self.dlibs(gx.astype(np.float32), gy.astype(np.float32))
        for name, library in libraries().items():
            with self.subTest(name):
                ask = library.faces_hog_orientation
                found = [ask(x, y) for x, y in zip(gx.tolist(), gy.tolist(), strict=True)]
                np.testing.assert_array_equal(found, expected)


class Resampling(unittest.TestCase):
    def check(self, pixels: NDArray[np.uint8], expected: NDArray[np.uint8]) -> None:
        found = np.empty_like(expected)
        for name, library in libraries().items():
            with self.subTest(name, shape=pixels.shape):
                library.faces_hog_resample(
                    *(ctypes.c_void_p(pixels.ctypes.data), *map(ctypes.c_int64, pixels.shape[:2])),
                    *(ctypes.c_void_p(found.ctypes.data), *map(ctypes.c_int64, found.shape[:2])),
                )
                np.testing.assert_array_equal(found, expected)

    def images(self) -> list[NDArray[np.uint8]]:
        with Image.open(photographs.path("biden.jpg")) as photo:
            images = [np.asarray(photo.convert("RGB"))]
        random = np.random.default_rng(4)
        for height, width in [(80, 80), (77, 931), (123, 64), (64, 1203), (20, 21), (9, 12)]:
            images.append(random.integers(0, 256, (height, width, 3), dtype=np.uint8))
            images.append(np.full((height, width, 3), 255, np.uint8))
        return images

    def test_each_level_is_dlibs_pyramid_down_in_every_bit(self) -> None:
        for pixels in self.images():
            self.check(pixels, dlib.pyramid_down(6)(pixels))

    def test_doubling_is_dlibs_resize_in_every_bit(self) -> None:
        for pixels in self.images():
            height, width = 2 * pixels.shape[0] + 1, 2 * pixels.shape[1] + 2
            self.check(pixels, dlib.resize_image(pixels, height, width))
