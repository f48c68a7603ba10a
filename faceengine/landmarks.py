"""Five landmarks of a face, and the aligned square picture that is encoded: dlib's "chip"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dlib
import numpy

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


def cut(view: View, box: Box, rotation: int = 0) -> AlignedFace:
    """The chip of the face in `box` (of the full image) from the pixels of `view`.

    A face of another `rotation` than 0 (see `Face`) is turned upright first.
    """
    quarters = rotation // 90
    # Contiguous: dlib takes no other.
    pixels = numpy.ascontiguousarray(numpy.rot90(view.pixels, quarters))
    edges = _turned(_edges(view, box), view.pixels.shape, quarters)
    shape = _predictor()(pixels, dlib.rectangle(*edges))
    details = dlib.get_face_chip_details(shape, CHIP_SIDE_PX, _PADDING)
    places = [_turned_back(part.x, part.y, pixels.shape, quarters) for part in shape.parts()]
    points = tuple(
        Point((x + view.left) / view.scale_x, (y + view.top) / view.scale_y) for x, y in places
    )
    chip = dlib.extract_image_chip(pixels, details)
    return AlignedFace(chip, points, details.rect.width())


_Edges = tuple[int, int, int, int]


def load() -> None:
    """Load the landmark model now."""
    _predictor()


def _edges(view: View, box: Box) -> _Edges:
    """Left, top, right and bottom of `box` in the pixels of `view`."""
    return (
        round(box.left * view.scale_x) - view.left,
        round(box.top * view.scale_y) - view.top,
        round(box.right * view.scale_x) - view.left,
        round(box.bottom * view.scale_y) - view.top,
    )


def _turned(edges: _Edges, shape: tuple[int, ...], quarters: int) -> _Edges:
    """`edges` of an image of `shape` (rows, columns, …) after as many `numpy.rot90`."""
    (left, top, right, bottom), (rows, columns) = edges, shape[:2]
    for _ in range(quarters):
        left, top, right, bottom = top, columns - 1 - right, bottom, columns - 1 - left
        rows, columns = columns, rows
    return left, top, right, bottom


def _turned_back(x: float, y: float, shape: tuple[int, ...], quarters: int) -> tuple[float, float]:
    """The point (x, y) of an image of `shape` before as many `numpy.rot90`."""
    rows, columns = shape[:2]
    for _ in range(quarters):
        x, y = rows - 1 - y, x
        rows, columns = columns, rows
    return x, y


def _predictor() -> Any:
    name = "shape_predictor_5_face_landmarks.dat"
    return once("landmarks", lambda: dlib.shape_predictor(str(model_file(name))))
