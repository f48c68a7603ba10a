"""YuNet on ONNX Runtime: faces from 10 pixels on, tilted by up to about 40°, in one pass.

The network (`faceengine.conversion.yunet`) answers for every eighth, sixteenth and thirty-second
pixel how much a face lies there, and where. A box here is dlib's: the square that its HOG detector
would have drawn, so that landmarks, chips and encodings mean the same with either detector.

After OpenCV's `FaceDetectorYN` (modules/objdetect/src/face_detect.cpp): the score is the geometric
mean of class and object, a better box suppresses those that it overlaps by 0.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy

from faceengine.detection import yunet_weights
from faceengine.runtime import once

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from faceengine.imaging.scaled import Pixels

    Floats: TypeAlias = NDArray[numpy.float32]

STRIDES = (8, 16, 32)
MULTIPLE = 32
"""Rows and columns that the network takes are multiples of it."""

MAX_OVERLAP = 0.3
"""Intersection over union from which two boxes are one face; as in OpenCV's sample."""

# HOG's box from YuNet's: side √(1.099 w · 0.820 h), its centre 0.05 h lower. Medians over the 49
# faces of 15 photographs that both found: their intersection over union is then 0.79 (median).
_WIDTHS, _HEIGHTS, _LOWER = 1.099, 0.820, 0.05


MAX_COVERED = 0.8
"""The share of a smaller box inside a better one from which it is a part of that face."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Possible faces: `boxes` float32 (n, 4) of left, top, right, bottom, and `scores` (n,).

    In pixels of the image searched, unless `mapped` to another; scores are 0 to 1.
    """

    boxes: Floats
    scores: Floats

    def __len__(self) -> int:
        return len(self.scores)

    def of(self, index: Any) -> Candidates:
        """Those of a NumPy `index`."""
        return Candidates(self.boxes[index], self.scores[index])

    def mapped(self, scale: tuple[float, float], place: tuple[float, float]) -> Candidates:
        """With every point moved by `place` (x, y), then divided by `scale` (x, y)."""
        moved, by = numpy.array(place * 2, numpy.float32), numpy.array(scale * 2, numpy.float32)
        return Candidates((self.boxes + moved) / by, self.scores)


def joined(parts: list[Candidates]) -> Candidates:
    """All candidates of `parts`, which are not empty."""
    return Candidates(
        numpy.concatenate([each.boxes for each in parts]),
        numpy.concatenate([each.scores for each in parts]),
    )


def candidates(pixels: Pixels, threshold: float) -> Candidates:
    """Places in RGB `pixels`, uint8 (rows, columns, 3), with a score of at least `threshold`.

    One face has several. The sides are filled up to multiples of 32 with black.
    """
    rows, columns = (-(-side // MULTIPLE) * MULTIPLE for side in pixels.shape[:2])
    if pixels.shape[:2] != (rows, columns):
        filled = numpy.zeros((rows, columns, 3), numpy.uint8)
        filled[: pixels.shape[0], : pixels.shape[1]] = pixels
        pixels = filled
    outputs = _session().run(None, {"pixels": numpy.ascontiguousarray(pixels)})
    count = len(STRIDES)
    return joined(
        [
            _decoded(stride, columns // stride, outputs[index::count], threshold)
            for index, stride in enumerate(STRIDES)
        ]
    )


def load() -> None:
    """Load the network now, converting it first if it never was.

    Raises `ModelError` where its weights cannot be had.
    """
    _session()


def _decoded(stride: int, columns: int, outputs: list[Floats], threshold: float) -> Candidates:
    kinds, objects, boxes, _ = (each[0] for each in outputs)
    scores = numpy.sqrt(kinds[:, 0].clip(0, 1) * objects[:, 0].clip(0, 1))
    (index,) = numpy.nonzero(scores >= threshold)
    places = numpy.stack([index % columns, index // columns], 1).astype(numpy.float32)
    centres = (places + boxes[index, :2]) * stride
    sides = numpy.exp(boxes[index, 2:]) * stride
    return Candidates(_as_dlib(centres, sides), scores[index])


def _as_dlib(centres: Floats, sides: Floats) -> Floats:
    half = numpy.sqrt(_WIDTHS * sides[:, 0] * _HEIGHTS * sides[:, 1]) / 2
    across, down = centres[:, 0], centres[:, 1] + _LOWER * sides[:, 1]
    return numpy.stack([across - half, down - half, across + half, down + half], 1)


def best(found: Candidates) -> list[int]:
    """The indices of the best candidate of each face, best first."""
    order = numpy.argsort(-found.scores, kind="stable")
    same = _are_same(found.boxes[order])
    kept = numpy.ones(len(found), bool)
    for index in range(len(found)):
        if kept[index]:
            kept[index + 1 :] &= ~same[index, index + 1 :]
    return [int(index) for index in order[kept]]


def _are_same(boxes: Floats) -> NDArray[numpy.bool_]:
    """Which boxes are of the same face as which: (n, n)."""
    first = numpy.maximum(boxes[:, None, :2], boxes[None, :, :2])
    last = numpy.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    inner = (last - first).clip(0).prod(2)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    smaller = numpy.minimum(areas[:, None], areas[None])
    overlap = inner / (areas[:, None] + areas[None] - inner)
    same: NDArray[numpy.bool_] = (overlap > MAX_OVERLAP) | (inner / smaller > MAX_COVERED)
    return same


def _session() -> Any:
    return once("yunet", yunet_weights.session)
