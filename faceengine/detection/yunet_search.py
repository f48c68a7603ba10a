"""The search for faces of every size and direction with YuNet: passes over one image, merged.

1. The whole image at a long side of 320 to 640 pixels, enlarged if it is smaller: large faces.
2. If none of them is good, the same with the image turned by 90, 180 and 270 degrees; the direction
   with most of a face is the photo's. The network finds some faces that stand on their head, but
   takes their mouth for eyes, so upside down is a direction as the others.
3. If a face is doubtful and that side was below 640 pixels, both again at 640; then a second look
   at each face of the photo's direction that is still doubtful, also tilted by 37° to either side
   (`yunet_confirmation`).
4. In the photo's direction, a larger image in tiles that overlap: small faces.

The most that it costs is four times the first pass and the one at 640, 16 times nine
second looks of 128 pixels, and once the last pass.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy
from PIL import Image

from faceengine.detection import yunet, yunet_confirmation
from faceengine.detection.yunet import Candidates
from faceengine.hog import Detection

if TYPE_CHECKING:
    from faceengine.imaging.scaled import Size

WHOLE_PX = 640
"""The longest side of the pass for large faces."""

LEAST_PX, SHARE = 320, 0.5
"""Of a small image that pass has this share, and at least this long side: 480p takes a quarter of
the time that it takes at 640, and where a face is doubtful that pass follows. Half is cheap to
reduce to: 0.55 took 0.8 ms where 0.5 takes 0.2."""

MAX_ENLARGED = 4.0
"""A small image is enlarged by no more: beyond, there is no detail left to find a face by."""

MIN_SCORE = 0.7
"""Of a face (docs/detector.md has what others would find)."""

HINT_SCORE = 0.3
"""From it on, a candidate shows the photo's direction: small faces score so in the first pass."""

MIN_EVIDENCE = 0.2
"""Of a direction other than upright: one candidate of 0.67, or five of 0.45."""

GOOD_SCORE = 0.91
"""Of the best face of an upright photo; one on its head reached 0.90 (15 photos of 49 faces)."""

ODD_SCORE = 0.85
"""Of a face that is turned otherwise than the photo."""

SMALLEST_PX = 10
"""Side of the smallest box, in pixels of a pass. Of faces of 11 pixels 8 in 10 are found, of 15
pixels all; smaller boxes are mostly no faces."""

WORTH_PX = 20
"""Side of the smallest box that is searched for, in pixels of the full image, if there are enough.
Faces below 40 pixels are too poor to recognise, so smaller ones are worth no time."""

TILE_PX = 960, 704
"""The largest tile (width, height): past it, the intermediate results leave the processor's cache.
"""

OVERLAP_PX = 96
"""Of neighbouring tiles. Each owns the half, so a face of this size is whole in its tile."""

LARGEST_IN_TILE_PX = 128
"""Larger faces are the first pass's: of one that fills a tile, parts look like faces."""

_FINER = 1.6
"""The last pass is worth it from this many times the first one's scale: not for 1080p, where the
first finds faces of 30 pixels, but for larger images."""


def detect(image: Image.Image, scale: float = 1.0) -> list[Detection]:
    """Find faces in the RGB `image`, in its pixels, best first; boxes may reach outside.

    `scale` is how many of these pixels a pixel of the full image has, along one side.
    """
    coarse, fine = _scales(image.size, scale)
    large = _resized(image, fine) if fine > coarse else image
    found = _directions(_resized(large, coarse * image.width / large.width), image.size)
    whole = _whole(image.size)
    if coarse < whole and any(map(yunet_confirmation.is_doubtful, found.values())):
        found = _directions(_resized(image, whole), image.size)
    main = max(found, key=lambda turn: _evidence(found[turn]))
    faces = [(turn, _odd(each)) for turn, each in found.items() if turn != main]
    turned = partial(_turned, turn=main)
    faces += [(main, yunet_confirmation.confirmed(found[main], image, turned, MIN_SCORE))]
    if fine > coarse:
        faces += [(main, each) for each in _tiled(_turned(large, main), image.size, main)]
    return _merged(faces)


def smallest_face_px(size: Size, scale: float = 1.0) -> float:
    """The side of the smallest box that `detect` finds in an image of `size` (width, height)."""
    return SMALLEST_PX / max(_scales(size, scale))


def _scales(size: Size, scale: float) -> tuple[float, float]:
    """Of the first pass and of the last, which is left out where it is not above the first's."""
    least = max(LEAST_PX / max(size), SHARE)
    coarse, fine = min(_whole(size), least), min(1.0, SMALLEST_PX / WORTH_PX / scale)
    return coarse, fine if fine > coarse * _FINER else coarse


def _whole(size: Size) -> float:
    """The scale of the whole image in a pass at its longest side."""
    return min(WHOLE_PX / max(size), MAX_ENLARGED)


def _resized(image: Image.Image, scale: float) -> Image.Image:
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    if size == image.size:
        return image
    if scale > 1:
        return image.resize(size, Image.Resampling.BILINEAR)
    # A box filter takes each pixel into account once; halving first takes a quarter of the time.
    return image.resize(size, Image.Resampling.BOX, reducing_gap=1.0)


_ANTICLOCKWISE = {
    1: Image.Transpose.ROTATE_90,
    2: Image.Transpose.ROTATE_180,
    3: Image.Transpose.ROTATE_270,
}


def _turned(image: Image.Image, turn: int) -> Image.Image:
    """`image` after `turn` quarters anticlockwise."""
    return image.transpose(_ANTICLOCKWISE[turn]) if turn else image


def _directions(image: Image.Image, size: Size) -> dict[int, Candidates]:
    """The candidates of `image` in pixels of `size`, by the turn that they were found at."""
    found = {0: _found(image, size, 0)}
    if not (found[0].scores >= GOOD_SCORE).any():
        found |= {turn: _found(_turned(image, turn), size, turn) for turn in (1, 2, 3)}
    return found


def _found(image: Image.Image, size: Size, turn: int) -> Candidates:
    """Faces of the turned `image` as a whole, and hints of some, in pixels of `size`."""
    found = yunet.candidates(numpy.asarray(image), HINT_SCORE)
    found = found.of(found.boxes[:, 2] - found.boxes[:, 0] >= SMALLEST_PX)
    found = found.of(yunet.best(found))
    return _mapped(found, image.size, (0, 0), size, turn)


def _tiled(image: Image.Image, size: Size, turn: int) -> Iterator[Candidates]:
    """The faces of each tile of the turned `image`, in pixels of `size`."""
    pixels = numpy.asarray(image)
    for top, bottom, *rows in spans(image.height, TILE_PX[1]):
        for left, right, *columns in spans(image.width, TILE_PX[0]):
            found = yunet.candidates(pixels[top:bottom, left:right], MIN_SCORE)
            middles = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2 + (left, top)
            owned = (middles >= (columns[0], rows[0])) & (middles < (columns[1], rows[1]))
            sides = found.boxes[:, 2] - found.boxes[:, 0]
            found = found.of(owned.all(1) & (sides <= LARGEST_IN_TILE_PX) & (sides >= SMALLEST_PX))
            yield _mapped(found, image.size, (left, top), size, turn)


def spans(length: int, longest: int) -> Iterator[tuple[int, int, float, float]]:
    """Equal spans of at most `longest` that cover `length` and overlap by `OVERLAP_PX` or more.

    Of each: start, end, and between which places it owns what is found.
    """
    count = max(1, math.ceil((length - OVERLAP_PX) / (longest - OVERLAP_PX)))
    span = math.ceil((length + (count - 1) * OVERLAP_PX) / count / yunet.MULTIPLE) * yunet.MULTIPLE
    starts = [round(index * (length - span) / max(1, count - 1)) for index in range(count)]
    edges = [(before + span + start) / 2 for before, start in zip(starts, starts[1:], strict=False)]
    owned = [-math.inf, *edges, math.inf]
    for index, start in enumerate(starts):
        yield start, min(length, start + span), owned[index], owned[index + 1]


def _mapped(
    found: Candidates, turned: Size, place: tuple[float, float], size: Size, turn: int
) -> Candidates:
    """Candidates of an image of size `turned`, from `place` on, in pixels of one of `size`."""
    width, height = size if turn % 2 == 0 else size[::-1]
    found = found.mapped((turned[0] / width, turned[1] / height), place)
    for _ in range(turn):
        width, height = height, width
        left, top, right, bottom = found.boxes.T
        found = Candidates(numpy.stack([width - bottom, left, width - top, right], 1), found.scores)
    return found


def _evidence(found: Candidates) -> float:
    """How much of a face there is; a good face outweighs many faint hints, and few are none."""
    total = float((found.scores**4).sum())
    return total if total >= MIN_EVIDENCE else 0.0


def _odd(found: Candidates) -> Candidates:
    return found.of(found.scores >= ODD_SCORE)


def _merged(faces: list[tuple[int, Candidates]]) -> list[Detection]:
    found = yunet.joined([each for _, each in faces])
    turns = numpy.concatenate([numpy.full(len(each), turn) for turn, each in faces])
    return [
        _detection(found.boxes[index], found.scores[index], turns[index])
        for index in yunet.best(found)
    ]


def _detection(box: yunet.Floats, score: float, turn: int) -> Detection:
    left, top, right, bottom = (round(float(edge)) for edge in box)
    return Detection(top, right, bottom, left, float(score), int(turn) * 90)
