"""One image's pixels at the scale that is asked for, so that no more of a big one is decoded."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

import numpy
from PIL import Image

from faceengine.imaging.decode import DETAILED_PIXELS, MAX_PIXELS, Source, load_reduced
from faceengine.imaging.rgb import to_rgb
from faceengine.types import Box

if TYPE_CHECKING:
    # At run time numpy.typing would cost every start 10 ms.
    from numpy.typing import NDArray

    Pixels: TypeAlias = NDArray[numpy.uint8]

Size = tuple[int, int]

# A JPEG whose faces are to be encoded is decoded at the smallest scale that leaves this many
# pixels, unless a face in it needs the rest. Scales halve, so one of up to 32 million (128 MB as
# Pillow keeps RGB) is decoded whole, as a phone's photo is, and one of 100 million at a half.
_ENOUGH_PIXELS = 8_000_000

# dlib's image pyramid goes down in steps of 5/6 (`pyramid_down<6>`). A big image is reduced by a
# power of it, so that detection meets (nearly) the levels that it would meet in the full image, and
# boxes come out within a few pixels of those: the encodings stay closer together.
_PYRAMID_STEP = 5 / 6


@dataclass(frozen=True)
class View:
    """Part of an image, as RGB, and where it lies in the full image.

    A point (x, y) of the view is ((x + left) / scale, (y + top) / scale) in the full image.
    """

    image: Image.Image
    left: int = 0
    top: int = 0
    scale_x: float = 1.0
    scale_y: float = 1.0

    @property
    def size(self) -> Size:
        """Width and height in pixels."""
        return self.image.size

    @cached_property
    def pixels(self) -> Pixels:
        """uint8 (height, width, 3) RGB: a copy, made on first use (0.8 ms of a 1080p image)."""
        return numpy.asarray(self.image)


class Photo:
    """An upright RGB image of `size` (width, height) that may be held in memory at a lower scale.

    `image` is what is in memory; `reload`, where there is one, decodes the source again, in detail.
    """

    def __init__(
        self, image: Image.Image, size: Size, reload: Callable[[], Image.Image] | None = None
    ) -> None:
        self.size = size
        self._image = image
        self._reload = reload

    @property
    def scale(self) -> float:
        """Pixels in memory for each pixel of the full image, along one side."""
        return self._image.width / self.size[0]

    def whole(self, max_pixels: int) -> View:
        """The whole image on at most `max_pixels` pixels, or as it is if it has no more."""
        width, height = detection_size(self.size, max_pixels)
        image = self._image
        if image.size != (width, height):
            # A box filter takes each pixel into account once, as an exact reduction does.
            image = image.resize((width, height), Image.Resampling.BOX)
        scales = (width / self.size[0], height / self.size[1])
        return View(image, 0, 0, *scales)

    def around(self, box: Box) -> View:
        """The pixels in memory round `box` (of the full image), a box's size further each way.

        This is more than a face's chip covers, so the chip is as if cut from the whole.
        """
        scale_x = self._image.width / self.size[0]
        scale_y = self._image.height / self.size[1]
        left = max(0, math.floor((box.left - box.width) * scale_x))
        top = max(0, math.floor((box.top - box.height) * scale_y))
        right = min(self._image.width, math.ceil((box.right + box.width) * scale_x))
        bottom = min(self._image.height, math.ceil((box.bottom + box.height) * scale_y))
        crop = self._image.crop((left, top, right, bottom))
        return View(crop, left, top, scale_x, scale_y)

    def upright(self) -> Image.Image:
        """The whole image, decoded again only if less of it is in memory than `sharpen` gives."""
        self.sharpen()
        return self._image

    def sharpen(self) -> bool:
        """Decode the source in detail if it is not; whether there are more pixels now."""
        if self._reload is None or self._image.size == self.size:
            return False
        pixels = self._image.width * self._image.height
        self._image, self._reload = self._reload(), None
        return self._image.width * self._image.height > pixels


def photo(
    source: Image.Image | Source,
    *,
    max_pixels: int = MAX_PIXELS,
    max_detection_pixels: int,
    encode: bool,
) -> Photo:
    """Take `source`, decoding no more of it than detection, or detection and encoding, need."""
    if isinstance(source, Image.Image):
        return Photo(to_rgb(source), source.size)
    enough = max(max_detection_pixels, _ENOUGH_PIXELS) if encode else max_detection_pixels
    image, size = load_reduced(source, enough, max_pixels=max_pixels)
    return Photo(
        image, size, lambda: load_reduced(source, DETAILED_PIXELS, max_pixels=max_pixels)[0]
    )


def detection_size(size: Size, max_pixels: int) -> Size:
    """The (width, height) at which an image of `size` is searched for faces."""
    width, height = size
    if width * height <= max_pixels:
        return size
    steps = math.ceil(math.log(max_pixels / (width * height)) / math.log(_PYRAMID_STEP**2))
    scale = _PYRAMID_STEP**steps
    return max(1, int(width * scale)), max(1, int(height * scale))
