"""Quality of a face for recognition; `docs/faceengine.md` has the measurements."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy

from faceengine.imaging.scaled import Size
from faceengine.landmarks import AlignedFace
from faceengine.types import Box, Point, Pose, Quality, Reason

if TYPE_CHECKING:
    from faceengine.imaging.scaled import Pixels

# Below these an encoding has moved by 0.2 and more from that of the same face unspoiled, a third of
# the 0.6 that separates two people (measured: docs/faceengine.md, "Quality").
MIN_SIZE_PX = 40
MIN_SHARPNESS = 2.0
MAX_CUT_OFF = 0.1

# The largest that faces have which the frontal detector finds with confidence; profiles exceed it.
MAX_YAW_DEG = 35.0

# How far the base of the nose stands out before the line through the outer eye corners, as a share
# of their distance.
_NOSE_DEPTH = 0.4


def measure(outer: Box, box: Box, size: Size, score: float, chip: AlignedFace) -> Quality:
    """Judge the face in `box`, which is `outer` as detected, cut to the image of `size`."""
    size_px = min(outer.width, outer.height)
    sharp, pose = sharpness(chip.pixels), head_pose(chip.landmarks)
    reason = _reason(size_px, sharp, pose, _outside(outer, box))
    return Quality(score, size_px, sharp, pose, reason)


def sharpness(pixels: Pixels) -> float:
    """The spread (standard deviation) of the Laplacian of a chip's brightness, in grey levels.

    The variance of the Laplacian is the usual measure of focus (Pech-Pacheco et al., "Diatom
    autofocusing in brightfield microscopy", ICPR 2000). On the chip, which has the same size for
    every face, it says how much detail there is for the encoder, whatever took it away: focus,
    motion, or too few pixels. Only the inner half is measured, where there is face and no
    background.
    """
    edge = pixels.shape[0] // 4
    grey = pixels[edge:-edge, edge:-edge].astype(numpy.float32) @ _LUMA
    centre = grey[1:-1, 1:-1]
    around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    return float((around - 4 * centre).std())


# ITU-R BT.601, as JPEG weighs red, green and blue.
_LUMA = numpy.array([0.299, 0.587, 0.114], numpy.float32)


def head_pose(landmarks: tuple[Point, ...]) -> Pose:
    """The pose from dlib's five landmarks (see `Face.landmarks`).

    Roll is the slope of the line through the eyes. Yaw follows from how far the base of the nose
    lies off the middle between the eyes, along that line: it stands out before the eyes by
    `_NOSE_DEPTH` of their distance, so that turning the head by an angle moves it by the tangent of
    the angle, in units of that depth.
    """
    right = _middle(landmarks[0], landmarks[1])
    left = _middle(landmarks[2], landmarks[3])
    across = (right.x - left.x, right.y - left.y)
    middle, nose = _middle(left, right), landmarks[4]
    length = math.hypot(*across) or 1.0
    along = (nose.x - middle.x) * across[0] + (nose.y - middle.y) * across[1]
    yaw = math.atan(along / length**2 / _NOSE_DEPTH)
    return Pose(math.degrees(yaw), math.degrees(math.atan2(across[1], across[0])))


def _middle(a: Point, b: Point) -> Point:
    return Point((a.x + b.x) / 2, (a.y + b.y) / 2)


def _outside(outer: Box, box: Box) -> float:
    """The share of the detected box that lies outside the image."""
    whole = outer.width * outer.height
    return 1 - max(0, box.width) * max(0, box.height) / whole if whole > 0 else 1.0


def _reason(size_px: int, sharp: float, pose: Pose, outside: float) -> Reason | None:
    if outside > MAX_CUT_OFF:
        return Reason.CUT_OFF
    if size_px < MIN_SIZE_PX:
        return Reason.SMALL
    if abs(pose.yaw) > MAX_YAW_DEG:
        return Reason.TURNED_AWAY
    if sharp < MIN_SHARPNESS:
        return Reason.BLURRED
    return None
