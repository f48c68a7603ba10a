"""Boxes round the faces of a picture. Imports Pillow alone."""

from collections.abc import Iterable

from PIL import Image, ImageDraw

from faceengine.imaging.rgb import to_rgb
from faceengine.types import Box, Face

_OUTLINE = (16, 24, 32)
_LINE = (64, 224, 128)

# The line is this share of the image's longer side, so that it looks the same on a thumbnail and
# on a 100-megapixel photo shown at the width of a screen.
_LINE_SHARE = 1 / 320
_MIN_LINE_PX = 2
_OUTLINE_SHARE = 1 / 3


def draw_boxes(
    image: Image.Image, faces: Iterable[Face | Box], *, in_place: bool = False
) -> Image.Image:
    """A copy of `image` in mode RGB with a box drawn round each of `faces`, or of their boxes.

    With `in_place` it is `image` itself if its mode is RGB: a copy takes as much memory again.

    The box is a bright line between two dark ones, so that it shows on skin, snow and night alike.
    Its inner edge lies on `face.box`: nothing of the face is covered.
    """
    is_rgb = image.mode == "RGB"
    drawn = image.copy() if is_rgb and not in_place else to_rgb(image)
    pen = ImageDraw.Draw(drawn)
    width = max(_MIN_LINE_PX, round(max(drawn.size) * _LINE_SHARE))
    edge = max(1, round(width * _OUTLINE_SHARE))
    for face in faces:
        box = face if isinstance(face, Box) else face.box
        _frame(pen, box, 2 * edge + width, _OUTLINE)
        _frame(pen, _grown(box, edge), width, _LINE)
    return drawn


def _grown(box: Box, margin: int) -> Box:
    return Box(box.top - margin, box.right + margin, box.bottom + margin, box.left - margin)


def _frame(pen: ImageDraw.ImageDraw, box: Box, width: int, colour: tuple[int, int, int]) -> None:
    """A rectangular frame whose inner edge is `box`; Pillow's `width` grows inward."""
    top, right, bottom, left = _grown(box, width)
    pen.rectangle((left, top, right - 1, bottom - 1), outline=colour, width=width)
