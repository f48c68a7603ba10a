"""Five landmarks of a face, and the aligned square picture that is encoded: dlib's "chip"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dlib

from faceengine.conversion import CHIP_SIDE_PX
from faceengine.imaging.scaled import View
from faceengine.runtime import model_file, once
from faceengine.types import Box, Point

if TYPE_CHECKING:
    from faceengine.imaging.scaled import Pixels

# As face_recognition_model_v1's compute_face_descriptor cuts it (dlib, tools/python).
_PADDING = 0.25


@dataclass(frozen=True, slots=True)
class AlignedFace:
    """A face cut out upright, as dlib's `get_face_chip` does: the input of the encoder."""

    pixels: Pixels
    """uint8 (150, 150, 3) RGB."""
    landmarks: tuple[Point, ...]
    """In the full image's pixels."""
    side_px: float
    """Of the square in the pixels it was cut from; below 150 it was enlarged."""


def cut(view: View, box: Box) -> AlignedFace:
    """The chip of the face in `box` (of the full image) from the pixels of `view`."""
    shape = _predictor()(view.pixels, _rectangle(view, box))
    details = dlib.get_face_chip_details(shape, CHIP_SIDE_PX, _PADDING)
    points = tuple(
        Point((part.x + view.left) / view.scale_x, (part.y + view.top) / view.scale_y)
        for part in shape.parts()
    )
    pixels = dlib.extract_image_chip(view.pixels, details)
    return AlignedFace(pixels, points, details.rect.width())


def load() -> None:
    """Load the landmark model now."""
    _predictor()


def _rectangle(view: View, box: Box) -> Any:
    return dlib.rectangle(
        round(box.left * view.scale_x) - view.left,
        round(box.top * view.scale_y) - view.top,
        round(box.right * view.scale_x) - view.left,
        round(box.bottom * view.scale_y) - view.top,
    )


def _predictor() -> Any:
    name = "shape_predictor_5_face_landmarks.dat"
    return once("landmarks", lambda: dlib.shape_predictor(str(model_file(name))))
