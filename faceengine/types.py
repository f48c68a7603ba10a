"""The results of the engine: plain immutable values, no behaviour beyond arithmetic."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Encoding: TypeAlias = NDArray[numpy.float32]


Detector = Literal["hog", "cnn", "yunet"]
DETECTORS: tuple[Detector, ...] = ("hog", "cnn", "yunet")


class Box(NamedTuple):
    """A face's place in the upright full image, in pixels, in `face_recognition`'s order.

    `bottom` and `right` are inside the image's size, `top` and `left` at least 0.
    """

    top: int
    right: int
    bottom: int
    left: int

    @property
    def width(self) -> int:
        """Pixels from left to right."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """Pixels from top to bottom."""
        return self.bottom - self.top


def overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes, from 0 to 1."""
    width = min(one.right, other.right) - max(one.left, other.left)
    height = min(one.bottom, other.bottom) - max(one.top, other.top)
    shared = max(0, width) * max(0, height)
    whole = one.width * one.height + other.width * other.height - shared
    return shared / whole if whole > 0 else 0.0


class Point(NamedTuple):
    """A place in the upright full image, in pixels."""

    x: float
    y: float


class Reason(StrEnum):
    """Why a face is too poor to be recognised reliably; `docs/faceengine.md` has the thresholds."""

    SMALL = "small"
    BLURRED = "blurred"
    TURNED_AWAY = "turned_away"
    CUT_OFF = "cut_off"
    UNCLEAR = "unclear"
    """Drawn by hand, and no detector sees a face there."""


@dataclass(frozen=True, slots=True)
class Pose:
    """Pose of the head, estimated from five landmarks, in degrees; 0 faces the camera.

    `yaw` is positive when the face looks to the right of the picture, `roll` when it is turned
    clockwise.
    """

    yaw: float
    roll: float


@dataclass(frozen=True, slots=True)
class Quality:
    """Measures by which a user filters faces.

    `score` is the detector's own confidence (HOG: from 0, a clear face 1 to 3; CNN: from 0, a clear
    face about 1); `size_px` the box's shorter side in pixels of the full image; `sharpness` the
    spread of fine detail over the face, comparable between sizes; `reason` the first thing that
    makes the face too poor to recognise, or None.
    """

    score: float
    size_px: int
    sharpness: float
    pose: Pose
    reason: Reason | None


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """One face of an image.

    `encoding` is an array of float32 whose Euclidean distances separate people, 128 of dlib's
    encoder and as many as another makes, or None when none was asked for. `landmarks` are dlib's
    five points, whatever the detector: the outer and inner corner of the eye on the picture's
    right, then of the one on its left, and the base of the nose. `rotation` is how far the face is
    turned clockwise in the image, to the nearest of 0, 90, 180 and 270 degrees; box and landmarks
    are in the image's pixels all the same, the encoding is of the face turned upright. Detectors
    other than "yunet" find faces at 0 alone.
    """

    box: Box
    encoding: Encoding | None
    quality: Quality
    landmarks: tuple[Point, ...]
    rotation: int = 0


class Faces(list[Face]):
    """The faces of one image, best first.

    `smallest_face_px` is the shorter side, in pixels of the full image, of the smallest box that
    the search could have found: smaller faces may be there unseen.
    """

    def __init__(self, faces: Iterable[Face], smallest_face_px: int) -> None:
        super().__init__(faces)
        self.smallest_face_px = smallest_face_px
