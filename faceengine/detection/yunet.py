"""YuNet on ONNX Runtime: faces of any tilt up to about 45°, from 10 pixels on, in one pass.

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

# A dlib box from YuNet's: side √(1.047 w · 0.781 h), its centre 0.077 h lower. Medians over 62
# photographs on which both found the face (DESIGN: "YuNet's box leads to dlib's encoding").
_WIDTHS, _HEIGHTS, _LOWER = 1.047, 0.781, 0.077


@dataclass(frozen=True, slots=True)
class Candidates:
    """Possible faces: `boxes` float32 (n, 4) of left, top, right, bottom, and `scores` (n,).

    In pixels of the image searched, unless `mapped` to another; scores are 0 to 1. `points`,
    float32 (n, 5, 2) of x and y, are the network's own: the eye on the picture's left, that on its
    right, the tip of the nose, the mouth's corner on the left, that on the right.
    """

    boxes: Floats
    scores: Floats
    points: Floats

    def __len__(self) -> int:
        return len(self.scores)

    def of(self, index: Any) -> Candidates:
        """Those of a NumPy `index`."""
        return Candidates(self.boxes[index], self.scores[index], self.points[index])

    def mapped(self, scale: tuple[float, float], place: tuple[float, float]) -> Candidates:
        """With every point moved by `place` (x, y), then divided by `scale` (x, y)."""
        moved, by = numpy.array(place, numpy.float32), numpy.array(scale, numpy.float32)
        boxes = (self.boxes.reshape(-1, 2, 2) + moved) / by
        return Candidates(boxes.reshape(-1, 4), self.scores, (self.points + moved) / by)


def joined(parts: list[Candidates]) -> Candidates:
    """All candidates of `parts`, which are not empty."""
    return Candidates(
        numpy.concatenate([each.boxes for each in parts]),
        numpy.concatenate([each.scores for each in parts]),
        numpy.concatenate([each.points for each in parts]),
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
    kinds, objects, boxes, points = (each[0] for each in outputs)
    scores = numpy.sqrt(kinds[:, 0].clip(0, 1) * objects[:, 0].clip(0, 1))
    (index,) = numpy.nonzero(scores >= threshold)
    places = numpy.stack([index % columns, index // columns], 1).astype(numpy.float32)
    centres = (places + boxes[index, :2]) * stride
    sides = numpy.exp(boxes[index, 2:]) * stride
    marks = (places[:, None] + points[index].reshape(-1, 5, 2)) * stride
    return Candidates(_as_dlib(centres, sides, rotations(marks)), scores[index], marks)


def rotations(points: Floats) -> NDArray[numpy.int64]:
    """How far faces of `points` (n, 5, 2) are turned clockwise: 0, 90, 180 or 270 degrees each."""
    across, down = (points[:, 1] - points[:, 0]).T
    quarters = numpy.rint(numpy.arctan2(down, across) / (numpy.pi / 2)).astype(numpy.int64)
    turned: NDArray[numpy.int64] = quarters % 4 * 90
    return turned


def _as_dlib(centres: Floats, sides: Floats, turned: NDArray[numpy.int64]) -> Floats:
    """dlib's boxes. The network's lie round faces of any direction; of one on its side, the width
    is the height."""
    lying = turned % 180 == 90
    width, height = numpy.where(lying, sides[:, ::-1].T, sides.T)
    half = numpy.sqrt(_WIDTHS * width * _HEIGHTS * height)[:, None] / 2
    # Down, in the face: (0, 1) upright, (-1, 0) when it is turned clockwise by 90 degrees.
    angle = numpy.radians(turned)
    down = numpy.stack([-numpy.sin(angle), numpy.cos(angle)], 1)
    middles = centres + down * (_LOWER * height)[:, None]
    return numpy.concatenate([middles - half, middles + half], 1).astype(numpy.float32)


def suppressed(found: Candidates) -> Candidates:
    """The best of each face, best first."""
    found = found.of(numpy.argsort(-found.scores, kind="stable"))
    overlaps = _overlaps(found.boxes) > MAX_OVERLAP
    kept = numpy.ones(len(found), bool)
    for index in range(len(found)):
        if kept[index]:
            kept[index + 1 :] &= ~overlaps[index, index + 1 :]
    return found.of(kept)


def _overlaps(boxes: Floats) -> Floats:
    """Intersection over union of each box with each."""
    first = numpy.maximum(boxes[:, None, :2], boxes[None, :, :2])
    last = numpy.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    inner = (last - first).clip(0).prod(2)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    shares: Floats = inner / (areas[:, None] + areas[None] - inner)
    return shares


def _session() -> Any:
    return once("yunet", yunet_weights.session)
