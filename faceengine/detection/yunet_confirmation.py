"""The second look at what may be a face: the same network on its surroundings, at three sizes.

A face scores well at more than one size, a clock or a pattern of leaves mostly at one. So a small
first pass is enough, which finds candidates: a doubtful one is a face if it is in a look too, or if
it is in all three looks with its square tilted, for the network knows faces up to about 30°.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy
from PIL import Image

from faceengine.detection import yunet

if TYPE_CHECKING:
    from collections.abc import Callable

    from faceengine.detection.yunet import Candidates

    Turn = Callable[[Image.Image], Image.Image]

CERTAIN_SCORE = 0.86
"""From it on no second look is needed: no false box of the annotated photos reached 0.84."""

DOUBTFUL_SCORE = 0.45
"""Below it a candidate of the small pass is worth no larger one."""

MIN_MEAN_SCORE = 0.778
"""Of the first pass and the better look (docs/detector.md has what it finds)."""

TILT_DEGREES = 37
"""Of the tilted looks, to either side. At 30° or 45° what is no face scores higher (0.84, 0.83),
and fewer of the faces that were missed are separated from it (15 of 29; 18 at 37°)."""

MIN_TILTED_SCORE = 0.83
"""Of the worst of the three looks tilted one way. What was no face in the annotated photos and in
64 pictures without a face reached 0.80; of 29 faces that were missed, 18 reached 0.84."""

MAX_LOOKED_AT = 16
"""Candidates of an image that get a second look, the best first."""

CELL_PX = 128
"""Side of the square that is cut out round a candidate."""

FACE_SIDES_PX = 40, 56, 72
"""Sides of the candidate's box in that square."""


def confirmed(found: Candidates, image: Image.Image, turn: Turn, min_score: float) -> Candidates:
    """The faces among `found`, whose boxes are in pixels of `image`.

    A doubtful one gets the mean of its scores, a tilted one that of its worst look. `turn` makes a
    cut upright. Past `MAX_LOOKED_AT`, `min_score` of the first pass decides.
    """
    scores = found.scores.copy()
    doubtful = [i for i in numpy.argsort(-scores, kind="stable") if scores[i] < CERTAIN_SCORE]
    kept = scores >= min_score
    for index in doubtful[:MAX_LOOKED_AT]:
        box, first = found.boxes[index], float(scores[index])
        mean = _mean_score(box, first, image, turn)
        kept[index] = mean >= MIN_MEAN_SCORE
        scores[index] = mean
        if not kept[index]:
            scores[index] = max(_least_score(box, image, turn, tilt) for tilt in _TILTS)
            kept[index] = scores[index] >= MIN_TILTED_SCORE
    return yunet.Candidates(found.boxes[kept], scores[kept])


def is_doubtful(found: Candidates) -> bool:
    """Whether `found` has a candidate that may be a face, and may be none."""
    return bool(((found.scores >= DOUBTFUL_SCORE) & (found.scores < CERTAIN_SCORE)).any())


def _mean_score(box: yunet.Floats, first: float, image: Image.Image, turn: Turn) -> float:
    if (first + 1) / 2 < MIN_MEAN_SCORE:
        return 0.0  # no look scores above 1
    return (first + max(_score(turn(_cut(image, box, side)), side) for side in FACE_SIDES_PX)) / 2


_TILTS = (-TILT_DEGREES, TILT_DEGREES)


def _least_score(box: yunet.Floats, image: Image.Image, turn: Turn, tilt: float) -> float:
    """The worst of the looks tilted by `tilt` degrees; 0 from the first that is too poor."""
    least = 1.0
    for side in FACE_SIDES_PX:
        cell = turn(_cut(image, box, side)).rotate(tilt, Image.Resampling.BILINEAR)
        least = min(least, _score(cell, side))
        if least < MIN_TILTED_SCORE:
            return 0.0
    return least


def _cut(image: Image.Image, box: yunet.Floats, side: int) -> Image.Image:
    """The square round `box` in which the box has the `side`; black beyond the image."""
    left, top, right, bottom = (float(edge) for edge in box)
    half = CELL_PX / 2 * (right - left) / side
    across, down = (left + right) / 2, (top + bottom) / 2
    square = across - half, down - half, across + half, down + half
    size = CELL_PX, CELL_PX
    if side >= right - left:
        resample = Image.Resampling.BILINEAR
        return image.transform(size, Image.Transform.EXTENT, square, resample)
    first = math.floor(square[0]), math.floor(square[1])
    last = first[0] + round(2 * half), first[1] + round(2 * half)
    return image.crop((*first, *last)).resize(size, Image.Resampling.BOX, reducing_gap=1.0)


def _score(cell: Image.Image, side: int) -> float:
    """The best score of a box in `cell` that overlaps the middle one of `side`."""
    found = yunet.candidates(numpy.asarray(cell), 0.05)
    first, last = (CELL_PX - side) / 2, (CELL_PX + side) / 2
    edges = found.boxes.clip(first, last)
    inner = (edges[:, 2:] - edges[:, :2]).prod(1)
    areas = (found.boxes[:, 2:] - found.boxes[:, :2]).prod(1)
    same = inner / (areas + side**2 - inner) > yunet.MAX_OVERLAP
    return float(found.scores[same].max(initial=0.0))
