"""Is a decoded image whole? Pillow's decoders accept images of which a part is missing.

Pillow is satisfied once it has every row; libjpeg fills missing blocks with mid-grey, libpng and
libtiff leave missing rows black. An upload that broke off, or whose header claims more pixels than
follow, is refused. The cheap test comes first: only an image whose last pixels are such a filler,
or that has no mark of its end, is looked at twice. A missing mark alone harms nothing, as in
browsers. Bytes behind the image are ignored, and so are missing frames of an animation: the first
one counts (Pillow itself refuses a GIF that lacks pixels of it).
"""

import os
import random
import re
import struct
import sys
import zlib
from io import BytesIO
from typing import IO, Any, BinaryIO, Final

from PIL import Image, ImageChops, ImageFile
from PIL.JpegImagePlugin import JpegImageFile

from faceengine.errors import ImageError, Problem
from faceengine.imaging import animations

_END_OF_JPEG = b"\xff\xd9"
_END_OF_PNG = re.compile(rb"\0\0\0\0IEND.{4}", re.DOTALL)
"""With any checksum: decoders do not look at this one."""
_RESTARTS = tuple(bytes((0xFF, 0xD0 + number)) for number in range(8))
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_NOISE = bytes(random.Random(0).choices(range(0xFF), k=1024))  # without 0xff, which begins a marker
_EIGHTH: Final = 8
"""The smallest scale, which shows the mean of each block alone."""
_QUARTER: Final = 4
"""Of a progressive JPEG the last scans refine what the smallest scale does not show."""
_PIECE_BYTES = 1 << 16
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type (PNG specification, 11.2.2)
_WHOLE: Final = ((0, 0, 1, 1),)
_PASSES: Final = (
    *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)),
    *((0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
)
"""Of an interlaced PNG: first column and row, steps to the next ones (specification, 8.2)."""


def with_end(image: ImageFile.ImageFile) -> ImageFile.ImageFile:
    """`image`, whose decoder finds the mark of its end also where the file of a JPEG lacks it."""
    if isinstance(image, JpegImageFile):
        # Without `image` in it, which would keep itself and its pixels in memory.
        image.load_read = _Ending(image.fp).read  # type: ignore[method-assign]
    return image


class _Ending:
    """A file with the mark of a JPEG's end behind its last byte, once."""

    def __init__(self, file: IO[bytes] | None) -> None:
        assert file is not None
        self._file = file
        self._ends = iter([_END_OF_JPEG])

    def read(self, read_bytes: int) -> bytes:
        return self._file.read(read_bytes) or next(self._ends, b"")


def check(image: ImageFile.ImageFile, stream: BinaryIO) -> None:
    """Raise `ImageError` if `image`, decoded from `stream`, lacks its end or some of its pixels."""
    lacks = _CHECKS.get(str(image.format))
    if lacks is not None and lacks(image, stream):
        message = "The image is cut short: a part of it is missing."
        raise ImageError(Problem.TRUNCATED, message)


def _jpeg_lacks(image: ImageFile.ImageFile, stream: BinaryIO) -> bool:
    """Whether noise behind the first scan, or behind a file without its end, changes the image.

    A decoder that has all its blocks never reads the noise; one that lacks some decodes it.
    """
    data = _end(stream)
    file = BytesIO(data)
    JpegImageFile(file)
    scan = file.tell()  # behind the metadata with its thumbnails
    if data.find(_END_OF_JPEG, scan) < 0:
        data = data.rstrip(b"\xff")
        return _differ(data, _with_noise(data, scan, len(data)), _QUARTER)
    if not _is_grey(image.getpixel((image.width - 1, image.height - 1))):
        return False
    found = _NEXT_MARKER.search(data, scan)
    return _differ(data, _with_noise(data, scan, found.start() if found else len(data)), _EIGHTH)


def _is_grey(pixel: object) -> bool:
    values = pixel if isinstance(pixel, tuple) else (pixel,)
    return all(126 <= int(value) <= 130 for value in values)


def _with_noise(data: bytes, scan: int, end: int) -> bytes:
    last = max((data.rfind(marker, scan, end), marker[1]) for marker in _RESTARTS)
    # A scan with restart markers goes on at the next one; they count to eight.
    following = last[1] + 1 if last[0] >= 0 else 0
    parts = (bytes((0xFF, 0xD0 + (following + i) % 8)) + _NOISE for i in range(8))
    return data[:end] + _NOISE + b"".join(parts) + data[end:]


def _differ(one: bytes, other: bytes, scale: int) -> bool:
    return ImageChops.difference(_reduced(one, scale), _reduced(other, scale)).getbbox() is not None


def _reduced(data: bytes, scale: int) -> Image.Image:
    with JpegImageFile(BytesIO(data)) as image:
        image.draft(None, (max(1, image.width // scale), max(1, image.height // scale)))
        with_end(image).load()
        return image


def _png_lacks(image: ImageFile.ImageFile, stream: BinaryIO) -> bool:
    """Whether fewer bytes of pixels are there than its header promises."""
    is_animated = getattr(image, "is_animated", False)
    interlaced = bool(image.info.get("interlace"))
    has_end = any(_END_OF_PNG.search(_end(stream, size)) for size in (64, sys.maxsize))
    last_row = image.crop((0, image.height - 1, image.width, image.height))
    if (has_end or is_animated) and not interlaced and last_row.getbbox(alpha_only=False):
        return False
    data = _end(stream)
    bits = data[24] * _CHANNELS.get(data[25], 1)
    expected = _promised_size(image.size, bits, _PASSES if interlaced else _WHOLE)
    return _inflated_size(data, expected) < expected


def _promised_size(size: tuple[int, int], bits: int, passes: tuple[tuple[int, ...], ...]) -> int:
    """The bytes of all rows, each with one for its filter; a pass without columns has none."""
    promised = 0
    for left, top, across, down in passes:
        columns, rows = max(0, -((left - size[0]) // across)), -((top - size[1]) // down)
        promised += max(0, rows) * (1 + -(-columns * bits // 8)) if columns else 0
    return promised


def _inflated_size(data: bytes, enough: int) -> int:
    """The bytes of pixels in a PNG, up to about `enough`; inflated in pieces of bounded size."""
    inflater, size, position = zlib.decompressobj(), 0, 8
    while position + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        end = min(position + 8 + length, len(data)) if kind == b"IDAT" else 0
        for start in range(position + 8, end, _PIECE_BYTES):
            part = data[start : min(start + _PIECE_BYTES, end)]
            while part and size < enough:
                size += len(inflater.decompress(part, 1 << 20))
                part = inflater.unconsumed_tail
        if size >= enough:
            return size
        position += 12 + length
    return size + len(inflater.flush())


def _tiff_lacks(image: ImageFile.ImageFile, stream: BinaryIO) -> bool:
    """Whether a tag, a strip or a tile of the first page lies outside the file, or rows lack."""
    tags: Any = image.tag_v2  # type: ignore[attr-defined]
    if tags.next == tags._offset:  # Pillow stopped at a tag that it could not read
        return True
    places = [*zip(tags.get(273, ()), tags.get(279, ()), strict=False)]  # offset, size of strips
    places += zip(tags.get(324, ()), tags.get(325, ()), strict=False)  # of tiles
    length = stream.seek(0, os.SEEK_END)
    row_bytes = -(-image.width * sum(tags.get(258, (1,))) // 8)  # bits of each channel
    is_compressed = tags.get(259, 1) != 1
    return any(offset + size > length for offset, size in places) or (
        not is_compressed and sum(size for _, size in places) < row_bytes * image.height
    )


def _avif_lacks(image: ImageFile.ImageFile, stream: BinaryIO) -> bool:
    """Of an animation that is cut short: whether its first frame depends on the missing bytes."""
    other = animations.padded_avif(stream, b"\xff")
    if other is None:
        return False
    with Image.open(other, formats=["AVIF"]) as again:
        return ImageChops.difference(again, image).getbbox(alpha_only=False) is not None


_CHECKS = {
    "JPEG": _jpeg_lacks,
    "MPO": _jpeg_lacks,
    "PNG": _png_lacks,
    "TIFF": _tiff_lacks,
    "AVIF": _avif_lacks,
}


def _end(stream: BinaryIO, size: int = sys.maxsize) -> bytes:
    """The last `size` bytes, or all."""
    length = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, length - size))
    return stream.read()
