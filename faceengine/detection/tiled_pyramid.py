"""An image pyramid laid out on one canvas, as dlib's CNN detector takes it.

After `create_tiled_pyramid` and `compute_tiled_image_pyramid_details` of dlib 20
(dlib/image_transforms/image_pyramid.h): the levels go down the left side, and once the next one
would fit beside the last, back up along the right side.

      image        y
      +---------+  |
      | level 0 |  v
      +---------+
      | level 1 |
      |      +--+  the second column, right-aligned, going up
      +------|L5|
      | L2  ||L4|
      +-----++--+
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dlib
import numpy

from faceengine.imaging.scaled import Size

if TYPE_CHECKING:
    from faceengine.imaging.scaled import Pixels

# Between levels, and round all of them (input_rgb_image_pyramid's defaults).
_PADDING = 10
_OUTER_PADDING = 11
_MIN_ROWS = 5
_STEP = 6  # pyramid_down<6>: each level is 5/6 of the one before

# What the network subtracts from every pixel, rounded: on the canvas, this is nothing at all.
_NOTHING = (123, 117, 104)


@dataclass(frozen=True, slots=True)
class Tile:
    """One level's place on the canvas."""

    left: int
    top: int
    width: int
    height: int

    def distance_squared(self, x: float, y: float) -> float:
        """The squared distance of (x, y) from the tile; 0 inside."""
        across = max(self.left - x, 0, x - (self.left + self.width - 1))
        down = max(self.top - y, 0, y - (self.top + self.height - 1))
        return float(across * across + down * down)


@dataclass(frozen=True, slots=True)
class Canvas:
    """The pyramid's `pixels`, uint8 (height, width, 3) RGB, and where each level lies in them."""

    pixels: Pixels
    tiles: tuple[Tile, ...]

    def image_rectangle(self, x: int, y: int, side: int) -> Any:
        """The dlib rectangle, in the image, of the canvas's square of `side` round (x, y)."""
        # The first of several that are equally near, as dlib's nearest_rect.
        level = min(range(len(self.tiles)), key=lambda i: self.tiles[i].distance_squared(x, y))
        tile, reach = self.tiles[level], (side - 1) / 2
        left, top = x - reach - tile.left, y - reach - tile.top
        square = dlib.drectangle(left, top, left + side - 1, top + side - 1)
        mapped = dlib.pyramid_down(_STEP).rect_up(square, level)
        edges = (mapped.left(), mapped.top(), mapped.right(), mapped.bottom())
        return dlib.rectangle(*(math.floor(edge + 0.5) for edge in edges))


def tiled(image: Pixels) -> Canvas:
    """Lay out the pyramid of `image`, uint8 (height, width, 3) RGB."""
    tiles, (width, height) = layout((image.shape[1], image.shape[0]))
    pixels = numpy.empty((height, width, 3), numpy.uint8)
    pixels[:] = _NOTHING
    level = image
    for index, tile in enumerate(tiles):
        if index:
            level = dlib.resize_image(level, tile.height, tile.width)
        pixels[tile.top : tile.top + tile.height, tile.left : tile.left + tile.width] = level
    return Canvas(pixels, tiles)


def layout(size: Size) -> tuple[tuple[Tile, ...], Size]:
    """The tiles for an image of `size` (width, height), and the size of their canvas."""
    sizes = _sizes(size)
    width, height = sizes[0][0], _column_height(sizes)
    tiles: list[Tile] = []
    y = _OUTER_PADDING
    while y < height + _OUTER_PADDING and len(tiles) < len(sizes):
        tiles.append(Tile(_OUTER_PADDING, y, *sizes[len(tiles)]))
        y += tiles[-1].height + _PADDING
    tiles += _second_column(sizes[len(tiles) :], tiles[0], y - _PADDING)
    return tuple(tiles), (width + 2 * _OUTER_PADDING, height + 2 * _OUTER_PADDING)


def _sizes(size: Size) -> list[Size]:
    sizes = [size]
    width, height = size
    while True:
        rate = (_STEP - 1.0) / _STEP
        width, height = math.floor(rate * width), math.floor(rate * height)
        if width * height == 0 or height < _MIN_ROWS:
            return sizes
        sizes.append((width, height))


def _column_height(sizes: list[Size]) -> int:
    """Height of the first column: until a level fits beside it and half the rest is placed."""
    whole, first = sum(height + _PADDING for _, height in sizes) - 2 * _PADDING, sizes[0]
    reached = previous = 0
    for width, height in sizes:
        fits = width <= first[0] - previous - _PADDING
        if fits and (reached - first[1]) * 2 >= whole - first[1]:
            break
        reached += height + _PADDING
        previous = width
    return reached - _PADDING


def _second_column(sizes: list[Size], first: Tile, bottom: int) -> list[Tile]:
    """Levels right-aligned from `bottom` up, as long as they do not touch the image itself."""
    tiles: list[Tile] = []
    for width, height in sizes:
        tile = Tile(first.left + first.width - width, bottom - height, width, height)
        if tile.top < first.top + first.height and bottom > first.top:
            break
        tiles.append(tile)
        bottom -= height + _PADDING
    return tiles
