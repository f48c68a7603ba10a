"""The search for faces of every size and direction with YuNet: passes over one image, merged.

1. The whole image at a long side of 640 pixels, enlarged if it is smaller: large faces.
2. If it has more, the image as it is, in tiles that overlap: small faces.
3. If nothing good is found, both again with the image turned by 90°. A face on its head is found
   as it is, so this finds faces that are turned by 90° and by 270°.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy
from PIL import Image

from faceengine.detection import yunet
from faceengine.detection.yunet import Candidates
from faceengine.hog import Detection

if TYPE_CHECKING:
    from faceengine.imaging.scaled import Pixels, Size

WHOLE_PX = 640
"""Long side of the pass for large faces."""

MAX_ENLARGED = 4.0
"""A small image is enlarged by no more: beyond, there is no detail left to find a face by."""

MIN_SCORE = 0.7
"""Of a face. At it YuNet finds no more false boxes than HOG (docs/detector.md)."""

GOOD_SCORE = 0.8
"""Of a face that shows which side of the image is up."""

SMALLEST_PX = 10
"""Side of the smallest box that the network finds, in pixels of a pass."""

TILE_PX = 960, 640
"""The largest tile (width, height): past it, the intermediate results leave the processor's cache.
"""

OVERLAP_PX = 96
"""Of neighbouring tiles. A face that is cut by both is larger, and found in the whole image."""

_FINER = 1.25
"""The second pass is worth it from this many times the first one's scale."""


def detect(pixels: Pixels) -> list[Detection]:
    """Find faces in RGB `pixels`, uint8 (height, width, 3), best first; boxes may reach outside."""
    found = yunet.suppressed(_search(pixels))
    if not (found.scores >= GOOD_SCORE).any():
        lying = _search(numpy.ascontiguousarray(numpy.rot90(pixels)))
        upright = _turned_back(lying, pixels.shape[1])
        found = yunet.suppressed(yunet.joined([found, upright]))
    turned = yunet.rotations(found.points)
    return [_face(*each) for each in zip(found.boxes, found.scores, turned, strict=True)]


def smallest_face_px(size: Size) -> float:
    """The side of the smallest box that `detect` finds in an image of `size` (width, height)."""
    return SMALLEST_PX / max(_coarse_scale(size), 1.0)


def _search(pixels: Pixels) -> Candidates:
    size = pixels.shape[1], pixels.shape[0]
    scale = _coarse_scale(size)
    found = _whole(pixels, scale)
    if 1 / scale < _FINER:
        return found
    return yunet.joined([found, *_tiled(pixels)])


def _coarse_scale(size: Size) -> float:
    return min(WHOLE_PX / max(size), MAX_ENLARGED)


def _whole(pixels: Pixels, scale: float) -> Candidates:
    height, width = pixels.shape[:2]
    size = max(1, round(width * scale)), max(1, round(height * scale))
    if size != (width, height):
        how = Image.Resampling.BILINEAR if scale > 1 else Image.Resampling.BOX
        pixels = numpy.asarray(Image.fromarray(pixels).resize(size, how))
    found = yunet.candidates(pixels, MIN_SCORE)
    return found.mapped((size[0] / width, size[1] / height), (0, 0))


def _tiled(pixels: Pixels) -> Iterator[Candidates]:
    height, width = pixels.shape[:2]
    for top, bottom in spans(height, TILE_PX[1]):
        for left, right in spans(width, TILE_PX[0]):
            found = yunet.candidates(pixels[top:bottom, left:right], MIN_SCORE)
            yield found.mapped((1, 1), (left, top))


def spans(length: int, longest: int) -> Iterator[tuple[int, int]]:
    """Equal spans of at most `longest` that cover `length` and overlap by `OVERLAP_PX`."""
    count = max(1, math.ceil((length - OVERLAP_PX) / (longest - OVERLAP_PX)))
    span = math.ceil((length + (count - 1) * OVERLAP_PX) / count / yunet.MULTIPLE) * yunet.MULTIPLE
    for index in range(count):
        start = round(index * (length - span) / (count - 1)) if count > 1 else 0
        yield max(0, start), min(length, start + span)


def _turned_back(found: Candidates, width: int) -> Candidates:
    """Candidates of the image turned by 90° anticlockwise, in pixels of the image, `width` wide."""
    left, top, right, bottom = found.boxes.T
    boxes = numpy.stack([width - bottom, left, width - top, right], 1)
    points = numpy.stack([width - found.points[..., 1], found.points[..., 0]], -1)
    return Candidates(boxes, found.scores, points)


def _face(box: yunet.Floats, score: float, turned: int) -> Detection:
    left, top, right, bottom = (round(float(edge)) for edge in box)
    return Detection(top, right, bottom, left, float(score), int(turned))
