"""Renditions of an upload: upright JPEGs without metadata, which alone are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import BinaryIO, Final

from PIL import Image

from backend.analysis import services as analysis

_QUALITY: Final = 90
_THUMBNAIL_QUALITY: Final = 82

_EARLIEST: Final = datetime(1990, 1, 1, tzinfo=UTC)
"""Cameras whose clock was never set give earlier years."""


@dataclass(frozen=True)
class Pictures:
    """JPEGs of one image, and the image's size upright in pixels; `full` may be smaller."""

    width: int
    height: int
    full: bytes
    thumbnails: Mapping[int, bytes]
    """By their width in pixels; a smaller image stays as wide as it is."""


def make(image: BinaryIO, *, widths_px: Sequence[int] = ()) -> Pictures:
    """All renditions of `image`, decoded once. Raises `AnalysisError` if it cannot be used."""
    picture, size = analysis.upright(image)
    full, thumbnails, smaller = analysis.jpeg(picture, _QUALITY), {}, picture
    for width_px in sorted(widths_px, reverse=True):
        smaller = _reduced(smaller, width_px)
        thumbnails[width_px] = analysis.jpeg(smaller, _THUMBNAIL_QUALITY)
    return Pictures(*size, full, thumbnails)


def taken_at(image: BinaryIO) -> datetime | None:
    """The time a photo was taken, from its metadata, if its camera's clock was set."""
    taken = analysis.taken_at(image)
    latest = datetime.now(UTC) + timedelta(days=1)
    return taken if taken and _EARLIEST <= taken <= latest else None


def _reduced(picture: Image.Image, width_px: int) -> Image.Image:
    if picture.width <= width_px:
        return picture
    size = (width_px, max(1, round(picture.height * width_px / picture.width)))
    return picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
