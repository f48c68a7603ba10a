"""Photos as one zip, written while it is sent: neither memory nor disk holds it."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import PurePosixPath
from typing import IO, Any, Final, cast

from backend.photos.models import Photo

MOST_PHOTOS: Final = 500
"""In one zip: some minutes of a thread of the web process on a slow line. A larger album is several
downloads."""

_BLOCK_BYTES: Final = 1 << 18
_EARLIEST_YEAR: Final = 1980
"""Of a zip's times."""


class _Sink(io.RawIOBase):
    """Takes what `zipfile` writes, until it is sent on; it cannot be sought in."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def taken(self) -> bytes:
        data = b"".join(self._parts)
        self._parts.clear()
        return data


def stream(photos: Iterable[Photo]) -> Iterator[bytes]:
    """The zip with the picture of each photo, as it was taken in: upright, without metadata.

    Not compressed, because JPEGs are. A photo that is erased meanwhile is left out.
    """
    sink, names = _Sink(), set[str]()
    with zipfile.ZipFile(cast(IO[bytes], sink), "w", zipfile.ZIP_STORED) as archive:
        for photo in photos:
            try:
                picture = photo.file.open("rb")
            except FileNotFoundError:
                continue
            with picture, archive.open(_entry(photo, names), "w") as entry:
                while block := picture.read(_BLOCK_BYTES):
                    entry.write(block)
                    yield sink.taken()
            yield sink.taken()
    yield sink.taken()


def _entry(photo: Photo, names: set[str]) -> zipfile.ZipInfo:
    """Named as the upload was, with the number of the photo where that is not unique."""
    stem = PurePosixPath(photo.name.replace("\\", "/")).stem.strip(". ") or "photo"
    name = f"{stem}.jpg"
    if name.lower() in names:
        name = f"{stem} {photo.pk}.jpg"
    names.add(name.lower())
    return zipfile.ZipInfo(name, _moment(photo.taken_at))


def _moment(taken: datetime) -> tuple[int, int, int, int, int, int]:
    year = max(_EARLIEST_YEAR, taken.year)
    return (year, taken.month, taken.day, taken.hour, taken.minute, taken.second)
