"""The time at which a photo was taken, from its metadata. Imports Pillow alone."""

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from PIL import ExifTags, Image

from faceengine.errors import FaceEngineError
from faceengine.imaging import formats, inspection, isolation
from faceengine.imaging.decode import Source, stream_of

# EXIF 2.32, table 4: a time, its offset from UTC, its fraction of a second.
_TIMES = (
    (
        ExifTags.Base.DateTimeOriginal,
        ExifTags.Base.OffsetTimeOriginal,
        ExifTags.Base.SubsecTimeOriginal,
    ),
    (
        ExifTags.Base.DateTimeDigitized,
        ExifTags.Base.OffsetTimeDigitized,
        ExifTags.Base.SubsecTimeDigitized,
    ),
)
_TIME = re.compile(r"(\d{4})\D(\d\d)\D(\d\d)\D(\d\d)\D(\d\d)\D(\d\d)")
_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)")
_IN_XMP = re.compile(
    rb"(?:exif:DateTimeOriginal|photoshop:DateCreated|xmp:CreateDate)"
    rb"(?:\s*+=\s*+[\"']|>)([^\"'<]{10,40})"
)


def taken_at(source: Source) -> datetime | None:
    """When the image of any format was taken; None where its metadata does not say.

    A time without an offset counts as UTC: the camera's clock says no more.
    """
    with stream_of(source) as stream:
        try:
            if inspection.inspect(stream).is_plain:
                return taken_here(stream)
            answer = isolation.run(stream, "taken_at", isolation.CHECK)
        except FaceEngineError:
            return None
    return datetime.fromisoformat(answer["taken_at"]) if answer.get("taken_at") else None


def taken_here(source: Source) -> datetime | None:
    """`taken_at` in this process."""
    try:
        with stream_of(source) as stream, formats.identify(stream) as image:
            return _of_exif(image) or _of_xmp(image)
    except Exception:  # a broken block of metadata may raise anything in its parser
        return None


def _of_exif(image: Image.Image) -> datetime | None:
    # Of a PNG, its own method would decode the pixels to look behind them.
    tags = Image.Image.getexif(image).get_ifd(ExifTags.IFD.Exif)
    for time, offset, fraction in _TIMES:
        if found := _TIME.search(_text(tags.get(time))):
            year, month, day, hour, minute, second = map(int, found.groups())
            zone = _zone(_text(tags.get(offset)))
            digits = re.match(r"\d{1,6}", _text(tags.get(fraction)))
            microsecond = int(digits[0].ljust(6, "0")) if digits else 0
            with suppress(ValueError):
                return datetime(year, month, day, hour, minute, second, microsecond, zone)
    return None


def _zone(text: str) -> timezone:
    found = _OFFSET.match(text)
    if not found:
        return UTC
    offset = timedelta(hours=int(found[2]), minutes=int(found[3]))
    return timezone(-offset if found[1] == "-" else offset)


def _of_xmp(image: Image.Image) -> datetime | None:
    for name in ("xmp", "XML:com.adobe.xmp"):
        xmp = image.info.get(name, b"")
        found = _IN_XMP.search(xmp.encode() if isinstance(xmp, str) else xmp)
        if found:
            taken = datetime.fromisoformat(found[1].decode().strip())
            return taken if taken.tzinfo else taken.replace(tzinfo=UTC)
    return None


def _text(value: Any) -> str:
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else str(value or "")
    return text.strip("\0 ")
