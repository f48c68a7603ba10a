"""Renditions of an upload: upright JPEGs without metadata, which alone are shown."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import BinaryIO, Final

from PIL import ExifTags, Image

from backend.analysis import services as analysis
from backend.common.jobs.models import JobError

_QUALITY: Final = 90
_THUMBNAIL_QUALITY: Final = 82

_LONGEST_PX: Final = 65_500
"""The longest side of a JPEG that libjpeg writes."""

_TOO_LONG: Final = "The image is too long or too wide for a JPEG."

_EARLIEST_YEAR: Final = 1990
"""Cameras whose clock was never set give earlier years."""


@dataclass(frozen=True)
class Pictures:
    """JPEGs of one image, and its size upright in pixels."""

    width: int
    height: int
    full: bytes
    thumbnails: Mapping[int, bytes]
    """By their width in pixels; a smaller image stays as wide as it is."""


def make(image: BinaryIO, *, widths_px: Sequence[int] = ()) -> Pictures:
    """All renditions of `image`, decoded once. Raises `WorkError` if it cannot be used."""
    picture = analysis.upright(image)
    if max(picture.size) > _LONGEST_PX:
        raise JobError(_TOO_LONG, permanent=True)
    full, thumbnails, smaller = _jpeg(picture, _QUALITY), {}, picture
    for width_px in sorted(widths_px, reverse=True):
        smaller = _reduced(smaller, width_px)
        thumbnails[width_px] = _jpeg(smaller, _THUMBNAIL_QUALITY)
    return Pictures(picture.width, picture.height, full, thumbnails)


def taken_at(image: BinaryIO) -> datetime | None:
    """The time a JPEG was taken, from its metadata; the camera's clock is taken as UTC."""
    image.seek(0)
    try:
        with Image.open(image, formats=["JPEG"]) as opened:
            tags = opened.getexif().get_ifd(ExifTags.IFD.Exif)
        text = str(tags.get(ExifTags.Base.DateTimeOriginal, ""))
        taken = datetime.strptime(text.strip("\0 "), "%Y:%m:%d %H:%M:%S").replace(tzinfo=UTC)
    except Exception:  # a broken block of metadata may raise anything in its parser
        return None
    return taken if _EARLIEST_YEAR <= taken.year <= datetime.now(UTC).year else None


def _reduced(picture: Image.Image, width_px: int) -> Image.Image:
    if picture.width <= width_px:
        return picture
    size = (width_px, max(1, round(picture.height * width_px / picture.width)))
    return picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)


def _jpeg(picture: Image.Image, quality: int) -> bytes:
    written = io.BytesIO()
    picture.save(written, "JPEG", quality=quality)
    return written.getvalue()
