"""Five landmarks of a face, and the aligned square picture that is encoded: dlib's "chip"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dlib
import numpy

from faceengine.conversion import CHIP_SIDE_PX
from faceengine.encoders import DLIB, Encoder
from faceengine.imaging.scaled import View
from faceengine.runtime import model_file, once
from faceengine.types import Box, Point

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from faceengine.imaging.scaled import Pixels

# As face_recognition_model_v1's compute_face_descriptor cuts it (dlib, tools/python).
_PADDING = 0.25

ARCFACE_SIDE_PX = 112

# Where dlib's five points lie on faces that YuNet's five points align to ArcFace's template
# ((38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299,
# 92.2041): eyes, tip of the nose, corners of the mouth). Medians over the 43 faces of nine photos.
# Encodings by either alignment tell pairs apart alike (docs/models.md), so every detector has this.
_ON_TEMPLATE = ((77.66, 52.70), (64.78, 52.87), (31.57, 52.96), (44.54, 53.30), (54.67, 78.06))


@dataclass(frozen=True, slots=True)
class AlignedFace:
    """A face cut out upright, as dlib's `get_face_chip` does."""

    pixels: Pixels
    """uint8 (150, 150, 3) RGB."""
    landmarks: tuple[Point, ...]
    """In the full image's pixels."""
    side_px: float
    """Of the square in the pixels it was cut from; below 150 it was enlarged."""
    encoded: Pixels
    """The input of the encoder: `pixels` of dlib's, else uint8 (112, 112, 3) RGB."""


def cut(view: View, box: Box, rotation: int = 0, encoder: Encoder = DLIB) -> AlignedFace:
    """The chip of the face in `box` (of the full image) from the pixels of `view`, for `encoder`.

    A face of another `rotation` than 0 (see `Face`) is turned upright first.
    """
    quarters = rotation // 90
    # Contiguous: dlib takes no other.
    pixels = numpy.ascontiguousarray(numpy.rot90(view.pixels, quarters))
    edges = _turned(_edges(view, box), view.pixels.shape, quarters)
    shape = predictor()(pixels, dlib.rectangle(*edges))
    details = dlib.get_face_chip_details(shape, CHIP_SIDE_PX, _PADDING)
    places = [_turned_back(part.x, part.y, pixels.shape, quarters) for part in shape.parts()]
    points = tuple(
        Point((x + view.left) / view.scale_x, (y + view.top) / view.scale_y) for x, y in places
    )
    chip = dlib.extract_image_chip(pixels, details)
    encoded = chip if encoder.network is None else _arcface_chip(pixels, shape)
    return AlignedFace(chip, points, details.rect.width(), encoded)


def _arcface_chip(pixels: Pixels, shape: Any) -> Pixels:
    """The face as ArcFace's template has it, by the similarity that fits dlib's points best."""
    scale, angle, centre = _similarity(numpy.array([(each.x, each.y) for each in shape.parts()]))
    half = (ARCFACE_SIDE_PX - 1) / 2 / scale
    x, y = centre
    square = dlib.drectangle(x - half, y - half, x + half, y + half)
    size = dlib.chip_dims(ARCFACE_SIDE_PX, ARCFACE_SIDE_PX)
    # dlib goes down a pyramid where the chip is smaller than the face, so nothing aliases.
    chip: Pixels = dlib.extract_image_chip(pixels, dlib.chip_details(square, size, angle))
    return chip


def _similarity(points: NDArray[numpy.float64]) -> tuple[float, float, tuple[float, float]]:
    """Of `points` (5, 2) to `_ON_TEMPLATE`: scale, angle, and what becomes the chip's centre.

    Least squares, in closed form: a similarity of the plane is z ↦ a·z + b of complex numbers.
    """
    source, target = (each @ (1, 1j) for each in (points, numpy.array(_ON_TEMPLATE)))
    from_middle, to_middle = source - source.mean(), target - target.mean()
    by = numpy.vdot(from_middle, to_middle) / (abs(from_middle) ** 2).sum()
    middle = (ARCFACE_SIDE_PX - 1) / 2 * (1 + 1j)
    centre = (middle - target.mean()) / by + source.mean()
    return float(abs(by)), -float(numpy.angle(by)), (float(centre.real), float(centre.imag))


_Edges = tuple[int, int, int, int]


def load() -> None:
    """Load the landmark model now."""
    predictor()


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


def predictor() -> Any:
    """dlib's predictor of five landmarks: (pixels, `dlib.rectangle`) to their places."""
    name = "shape_predictor_5_face_landmarks.dat"
    return once("landmarks", lambda: dlib.shape_predictor(str(model_file(name))))
