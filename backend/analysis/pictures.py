"""Pictures made of an image: boxes drawn, a face cut out, JPEGs. Nothing of its metadata stays."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, BinaryIO, Final

from django.conf import settings

import faceengine
from backend.analysis.compute import AnalysisError, decoding
from backend.analysis.metrics import ENGINE
from backend.common.metrics import registry
from wire.events import BoxShape

if TYPE_CHECKING:
    from PIL.Image import Image

_JPEG_QUALITY: Final = 90

_CROP: Final = 1.6
"""Sides of a crop by those of its box: a box ends at the eyebrows and the chin."""

_LONGEST_PX: Final = 65_500
"""The longest side of a JPEG that libjpeg writes."""


@registry.timed(ENGINE, stage="draw")
def draw(image: BinaryIO | faceengine.Photo, boxes: Sequence[BoxShape]) -> bytes:
    """A JPEG of the upright `image` with a box round each face.

    It may be smaller than the image, as `upright` says. A decoded photo gets the boxes itself: it
    is of no use afterwards. Raises `AnalysisError`.
    """
    picture, size = upright(image)
    scaled = [_scaled(box, picture.size, size) for box in boxes]
    return jpeg(faceengine.draw_boxes(picture, scaled, in_place=True), _JPEG_QUALITY)


def crop(image: BinaryIO, box: BoxShape, side_px: int) -> bytes:
    """A square JPEG of the face in `box` and some of its surroundings."""
    picture, size = upright(image)
    face = _scaled(box, picture.size, size)
    side = min(_CROP * max(face.width, face.height), *picture.size)
    left = min(max((face.left + face.right - side) / 2, 0), picture.width - side)
    top = min(max((face.top + face.bottom - side) / 2, 0), picture.height - side)
    square = (left, top, left + side, top + side)
    return jpeg(picture.resize((side_px, side_px), box=square), _JPEG_QUALITY)


def upright(image: BinaryIO | faceengine.Photo) -> tuple[Image, tuple[int, int]]:
    """Pillow's picture of `image`, in mode RGB, and the size of the image, both upright.

    The picture fits into a JPEG; a JPEG of more than 100 megapixels comes at half its scale.
    Raises `AnalysisError`.
    """
    with decoding():
        if isinstance(image, faceengine.Photo):
            picture, size = image.upright(), image.size
        else:
            picture, size = faceengine.load_reduced(
                image,
                faceengine.DETAILED_PIXELS,
                max_pixels=settings.FACES_MAX_IMAGE_PIXELS,
            )
    scale = _LONGEST_PX / max(picture.size)
    if scale < 1:
        width, height = (max(1, int(side * scale)) for side in picture.size)
        picture = picture.resize((width, height))
    return picture, size


def jpeg(picture: Image, quality: int) -> bytes:
    """`picture` as a JPEG. Raises `AnalysisError`: the encoder would fail again."""
    written = io.BytesIO()
    try:
        with decoding():
            picture.save(written, "JPEG", quality=quality)
    except (OSError, ValueError, SystemError) as error:
        raise AnalysisError("The image can not be made a JPEG.", permanent=True) from error
    return written.getvalue()


def taken_at(image: BinaryIO) -> datetime | None:
    """When the photo was taken, from its metadata; the time of a camera without offset is UTC."""
    return faceengine.taken_at(image)


def _scaled(box: BoxShape, shown: tuple[int, int], size: tuple[int, int]) -> faceengine.Box:
    """`box` of an image of `size`, in a picture of size `shown`."""
    across, down = shown[0] / size[0], shown[1] / size[1]
    return faceengine.Box(
        top=round(box["top"] * down),
        right=round(box["right"] * across),
        bottom=round(box["bottom"] * down),
        left=round(box["left"] * across),
    )
