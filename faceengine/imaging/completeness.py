"""Is all of a decoded image there? What Pillow's decoders let pass is looked at here.

Decoders are made to show what they can: Pillow is content once it has every row, libjpeg fills what
is missing with grey, libpng and libtiff leave it black. An upload that broke off, or whose header
claims more pixels than follow, is to be refused. Each check costs nothing for nearly every image:
what takes time is done only where the image's last pixels are those that a decoder leaves behind.
"""

import os
import random
import re
import struct
import zlib
from io import BytesIO
from typing import BinaryIO

from PIL import Image, ImageChops, ImageFile

from faceengine.errors import ImageError, Problem


def check(image: ImageFile.ImageFile, stream: BinaryIO) -> None:
    """Raise `ImageError` if `image`, decoded from `stream`, lacks its end or some of its pixels."""
    lacking = _CHECKS.get(str(image.format))
    if lacking is not None and lacking(image, stream):
        message = "The image is cut short: a part of it is missing."
        raise ImageError(Problem.TRUNCATED, message)


# --- JPEG: libjpeg fills the blocks that are missing with mid-grey and only warns

_GREY, _NEAR = 128, 2
_NOISE_BYTES = 1024
_END_OF_IMAGE = b"\xff\xd9"
_START_OF_SCAN = 0xDA
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


def _jpeg_lacks(image: ImageFile.ImageFile, stream: BinaryIO) -> bool:
    data = _all(stream)
    scan = _scan_start(data)
    if data.find(_END_OF_IMAGE, scan) < 0:
        return True
    if not _is_grey(image.getpixel((image.width - 1, image.height - 1))):
        return False
    prolonged = _smallest(_prolonged(data, scan))
    return ImageChops.difference(_smallest(data), prolonged).getbbox() is not None


def _is_grey(pixel: object) -> bool:
    values = pixel if isinstance(pixel, tuple) else (pixel,)
    return all(abs(int(value) - _GREY) <= _NEAR for value in values)


def _prolonged(data: bytes, scan: int) -> bytes:
    """`data` with noise behind its first scan.

    A decoder that has all its blocks by then never looks at it; one that still lacks some takes
    them from the noise, and the image comes out different.
    """
    marker = _NEXT_MARKER.search(data, scan)
    end = marker.start() if marker else len(data)
    restarts = _RESTART.findall(data, scan, end)
    following = restarts[-1][1] + 1 if restarts else 0xD0
    return data[:end] + _noise(following) + data[end:]


def _noise(following: int) -> bytes:
    """Bytes that decode to something: for a scan in one piece, then for one with restart markers.

    `following` is the restart marker that a decoder expects next; they count to eight. The noise is
    deterministic, and without 0xff, which would begin a marker.
    """
    pieces = random.Random(0)
    noise = bytearray(pieces.choices(range(0xFF), k=_NOISE_BYTES))
    for number in range(following, following + 8):
        noise += bytes((0xFF, 0xD0 + number % 8, *pieces.choices(range(0xFF), k=_NOISE_BYTES)))
    return bytes(noise)


def _scan_start(data: bytes) -> int:
    """Where the first scan begins, past the metadata with its thumbnails, segment by segment."""
    position = 2
    while data[position + 1] != _START_OF_SCAN:
        if data[position + 1] == 0xFF:  # markers may be padded
            position += 1
        else:
            position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return position + 2


def _smallest(data: bytes) -> Image.Image:
    with Image.open(BytesIO(data), formats=("JPEG",)) as image:
        image.draft(None, (1, 1))
        image.load()
        return image


# --- PNG: a stream of pixels that ends early leaves the rest black

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type (PNG specification, 11.2.2)
_ADAM7 = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)
_CHUNK = 1 << 20


def _png_lacks(image: ImageFile.ImageFile, stream: BinaryIO) -> bool:
    if b"IEND\xaeB`\x82" not in _tail(stream, 65536):
        return True
    interlaced = bool(image.info.get("interlace"))
    if not interlaced and not _last_row_is_black(image):
        return False
    data = _all(stream)
    return _inflated_size(data) < _png_size(data)


def _last_row_is_black(image: Image.Image) -> bool:
    row = image.crop((0, image.height - 1, image.width, image.height))
    return row.getbbox(alpha_only=False) is None


def _png_size(data: bytes) -> int:
    """The bytes of pixels that a PNG's header promises: rows, each behind a byte for its filter."""
    width, height, depth, colour, _, _, interlaced = struct.unpack_from(">IIBBBBB", data, 16)
    bits = depth * _CHANNELS.get(colour, 1)
    passes = _ADAM7 if interlaced else ((0, 0, 1, 1),)
    size = 0
    for left, top, across, down in passes:
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        if columns > 0 and rows > 0:
            size += rows * (1 + -(-columns * bits // 8))
    return size


def _inflated_size(data: bytes) -> int:
    """The bytes of pixels that are there, counted in pieces of bounded size."""
    inflater, size = zlib.decompressobj(), 0
    for part in _idat(data):
        while part:
            size += len(inflater.decompress(part, _CHUNK))
            part = inflater.unconsumed_tail
    return size + len(inflater.flush())


def _idat(data: bytes) -> list[bytes]:
    parts, position = [], 8
    while position + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        if kind == b"IDAT":
            parts.append(data[position + 8 : position + 8 + length])
        position += 12 + length
    return parts


# --- GIF, TIFF


def _gif_lacks(_: ImageFile.ImageFile, stream: BinaryIO) -> bool:
    return b"\x00;" not in _tail(stream, 64)


_STRIPS, _TILES = (273, 279), (324, 325)  # TIFF 6.0: Offsets and ByteCounts of each
_COMPRESSION, _BITS, _UNCOMPRESSED = 259, 258, 1
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}


def _tiff_lacks(image: ImageFile.ImageFile, stream: BinaryIO) -> bool:
    """Whether a strip, a tile or a tag of the first page lies outside the file, or rows lack."""
    tags = getattr(image, "tag_v2", {})
    length = stream.seek(0, os.SEEK_END)
    stored = 0
    for offsets, counts in (_STRIPS, _TILES):
        for offset, count in zip(tags.get(offsets, ()), tags.get(counts, ()), strict=False):
            stored += count
            if offset + count > length:
                return True
    row = -(-image.width * sum(tags.get(_BITS, (1,))) // 8)
    if tags.get(_COMPRESSION, _UNCOMPRESSED) == _UNCOMPRESSED and stored < row * image.height:
        return True
    return any(end > length for end in _tag_ends(stream))


def _tag_ends(stream: BinaryIO) -> list[int]:
    """Where the values of the first page's tags end (classic TIFF; not BigTIFF)."""
    stream.seek(0)
    head = stream.read(8)
    order = "<" if head[:2] == b"II" else ">"
    magic, directory = struct.unpack(order + "HI", head[2:8])
    if magic != 42:
        return []
    stream.seek(directory)
    (count,) = struct.unpack(order + "H", stream.read(2))
    ends = []
    for kind, values, place in struct.iter_unpack(order + "2xHII", stream.read(12 * count)):
        size = _TYPE_BYTES.get(kind, 0) * values
        ends.append(place + size if size > 4 else 0)
    return ends


_CHECKS = {
    "JPEG": _jpeg_lacks,
    "MPO": _jpeg_lacks,
    "PNG": _png_lacks,
    "GIF": _gif_lacks,
    "TIFF": _tiff_lacks,
}


def _all(stream: BinaryIO) -> bytes:
    stream.seek(0)
    return stream.read()


def _tail(stream: BinaryIO, size: int) -> bytes:
    length = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, length - size))
    return stream.read()
