"""What decoding a file would cost, read from its structure in microseconds, before Pillow opens it.

A file is *plain* if the walk over its structure reached the pixels within bounds, so that time and
memory follow from its numbers of pixels, bytes and scans. Pillow may open it in this process.
Everything else is decoded by a process of its own (`isolation`), whatever the format: this module
need not know each trick, only what is plain.

Sources of the structures: JPEG (ITU T.81, annex B), PNG 1.2, GIF89a, the WebP container, BMP.
"""

import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from faceengine.errors import ImageError, Problem
from faceengine.imaging.isolation import Limits

_MAX_PARTS = 4096
"""Segments, chunks or blocks before the pixels. A PNG of 30 MB in pieces of 8 kB has as many."""

_MAX_SEGMENTS = 512
"""Of a JPEG before its first scan; a depth map of several MB in XMP takes a hundred."""

_MAX_FILL_BYTES = 64
_MAX_METADATA_BYTES = 8 << 20
_MAX_TAGS = 512
_MAX_TAG_BYTES = 1 << 20
"""Pillow keeps the bytes of each tag, and tags may share theirs: 64 kB of EXIF could become GBs."""

_MAX_TEXT_BYTES = 1 << 16
"""Compressed text of a PNG; inflated, Pillow stops each chunk at 1 MB."""

_SCAN_SECONDS = 70e-9
"""Of one block of 8×8 in one scan, also an empty one (700 scans of 8000×8000: 50 s)."""

MAX_SCAN_SECONDS = 3.0
"""Of all scans of a JPEG. 128 megapixels in the usual ten scans take 1.5 s."""


@dataclass(frozen=True, slots=True)
class Cost:
    """An upper estimate of checking an image; of `is_plain` files only it can be relied upon."""

    is_plain: bool
    memory_bytes: int = 0
    seconds: float = 0.0
    load_bytes: int = 0
    """Memory to load it whole, where that is more than to check it."""


_ANYTHING = Cost(is_plain=False)


class _Strange(Exception):
    """The file is not plain."""


def inspect(stream: BinaryIO) -> Cost:
    """The cost of the image in `stream`, which is left at its start.

    Raises `ImageError` for a JPEG of a kind that is not decoded, or with too many scans.
    """
    stream.seek(0)
    head = stream.read(32)
    walk = next((walk for start, walk in _WALKS if head.startswith(start)), None)
    try:
        return walk(stream, head) if walk else _ANYTHING
    except (_Strange, struct.error, IndexError, OverflowError):
        return _ANYTHING
    finally:
        stream.seek(0)


def estimate(format: str, pixels: int, file_bytes: int) -> Cost:
    """What an honest file of this kind takes at most, as measured with Pillow 13 and libheif."""
    memory, nanoseconds = _HONEST.get(format, (8, 60))
    return Cost(
        False, int(memory * pixels) + file_bytes, nanoseconds * 1e-9 * pixels + 15e-9 * file_bytes
    )


def is_beyond(cost: Cost, limits: Limits) -> bool:
    """Whether decoding would probably not end within `limits`."""
    return cost.memory_bytes > limits.memory_bytes or cost.seconds > 0.75 * limits.seconds


# Bytes and nanoseconds a pixel. WebP: four canvases of RGBA and a copy (libwebp's WebPAnimDecoder).
_HONEST = {
    "JPEG": (0.25, 8),
    "PNG": (4, 40),
    "GIF": (5, 20),
    "BMP": (5, 5),
    "TIFF": (5, 30),
    "WEBP": (16, 60),
    "AVIF": (12, 60),
    "HEIC": (11, 60),
}


def _plain(format: str, width: int, height: int, stream: BinaryIO) -> Cost:
    cost = estimate(format, width * height, _size(stream))
    return Cost(True, cost.memory_bytes, cost.seconds)


# --- JPEG


def _jpeg(stream: BinaryIO, _: bytes) -> Cost:
    stream.seek(2)
    frame, seen = b"", _Metadata()
    for marker, length in _segments(stream):
        if marker in _FRAMES:
            if frame:
                raise _Strange
            frame = bytes([marker]) + _exactly(stream, length)
        elif marker == 0xDA:
            return _of_frame(frame, _exactly(stream, length), stream)
        elif marker in (0xE1, 0xE2):
            seen.look_at(stream, length)
    raise _Strange


_DECODED_FRAMES = frozenset({0xC0, 0xC1, 0xC2, 0xC9, 0xCA})
"""Baseline, extended and progressive; the last two with arithmetic coding."""

_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def _segments(stream: BinaryIO) -> Iterator[tuple[int, int]]:
    """Marker and length of each segment; the stream is at its content."""
    fill_bytes = metadata_bytes = 0
    for _ in range(_MAX_SEGMENTS):
        first, marker = _exactly(stream, 2)
        while marker == 0xFF and fill_bytes <= _MAX_FILL_BYTES:
            (marker,) = _exactly(stream, 1)
            fill_bytes += 1
        length = int.from_bytes(_exactly(stream, 2), "big") - 2
        metadata_bytes += length
        if first != 0xFF or marker < 0xC0 or 0xD0 <= marker <= 0xD9 or length < 0:
            raise _Strange
        if metadata_bytes > _MAX_METADATA_BYTES:
            raise _Strange
        content = stream.tell()
        yield marker, length
        stream.seek(content + length)
    raise _Strange


class _Metadata:
    """Blocks of tags: one EXIF and one MPF, each of few tags."""

    def __init__(self) -> None:
        self._kinds: set[bytes] = set()

    def look_at(self, stream: BinaryIO, length: int) -> None:
        start = stream.read(min(length, 6))
        for kind in (b"Exif\0\0", b"MPF\0"):
            if start.startswith(kind):
                if kind in self._kinds:
                    raise _Strange
                self._kinds.add(kind)
                _check_tags((start + stream.read(length - len(start)))[len(kind) :])


def _of_frame(frame: bytes, scan: bytes, stream: BinaryIO) -> Cost:
    """The cost of a JPEG by its frame header (marker, then B.2.2) and first scan header (B.2.3)."""
    height, width, components = struct.unpack_from(">HHB", frame, 2)
    _refuse_unusual(frame)
    samples = [divmod(frame[8 + 3 * index], 16) for index in range(components)]
    cost = _plain("JPEG", width, height, stream)
    if frame[0] in (0xC0, 0xC1) and scan[0] == components:
        return cost  # one scan of everything: the decoder never looks for another
    scans = scan[0] + _scans(stream)
    seconds = _SCAN_SECONDS * scans * width * height / 64
    if seconds > MAX_SCAN_SECONDS:
        most = int(scans * MAX_SCAN_SECONDS / seconds)
        message = f"The image has {scans} scans of {width} × {height} pixels; at most {most} are"
        raise ImageError(Problem.TOO_LARGE, f"{message} decoded at that size.")
    # All coefficients are kept, 2 bytes each.
    share = sum(across * down for across, down in samples) / max(a * d for a, d in samples)
    kept = int(2 * width * height * share)
    memory, whole = cost.memory_bytes + kept, 4 * width * height + kept
    return Cost(True, memory, cost.seconds + seconds, load_bytes=whole)


def _refuse_unusual(frame: bytes) -> None:
    """Raise `ImageError` for the kinds of JPEG that neither libjpeg nor browsers decode."""
    if frame[0] not in _DECODED_FRAMES:
        message = "The file is a lossless or hierarchical JPEG, which is not supported."
    elif frame[1] != 8:
        message = f"The file is a JPEG of {frame[1]} bits a channel; 8 are supported."
    else:
        return
    raise ImageError(Problem.UNSUPPORTED_IMAGE, message)


def _scans(stream: BinaryIO) -> int:
    """Components of all further scans; a few too many where metadata contains a JPEG."""
    position, count, last = stream.tell(), 0, b""
    while block := stream.read(1 << 20):
        block = last + block
        count += sum(each[1][0] for each in _SCAN.finditer(block))
        last = block[-4:]
    stream.seek(position)
    return count


_SCAN = re.compile(rb"\xff\xda\x00[\x06-\x0c]([\x01-\x04])")
"""The start of a scan's header (B.2.3): marker, length, number of components."""


# --- the others


def _png(stream: BinaryIO, head: bytes) -> Cost:
    width, height = struct.unpack_from(">II", head, 16)
    stream.seek(8)
    text_bytes = 0
    for _ in range(_MAX_PARTS):
        length, kind = struct.unpack(">I4s", _exactly(stream, 8))
        content = stream.tell()
        if kind in (b"zTXt", b"iTXt", b"tEXt", b"iCCP"):
            text_bytes += length
            # ImageMagick's way to keep EXIF; Pillow parses it.
            if text_bytes > _MAX_TEXT_BYTES or stream.read(11) == b"Raw profile":
                raise _Strange
        elif kind == b"eXIf":
            _check_tags(stream.read(min(length, _MAX_METADATA_BYTES)))
        elif kind == b"IEND":
            return _plain("PNG", width, height, stream)
        stream.seek(content + length + 4)
    raise _Strange


def _gif(stream: BinaryIO, head: bytes) -> Cost:
    width, height, flags = struct.unpack_from("<HHB", head, 6)
    stream.seek(13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0))
    parts = 0
    while (introducer := _exactly(stream, 1)) == b"!":
        stream.seek(1, 1)
        while size := _exactly(stream, 1)[0]:
            stream.seek(size, 1)
            parts += 1
            if parts > _MAX_PARTS:
                raise _Strange
    if introducer != b",":
        raise _Strange
    left, top, across, down = struct.unpack("<HHHH", _exactly(stream, 8))
    return _plain("GIF", max(width, left + across), max(height, top + down), stream)


def _bmp(stream: BinaryIO, head: bytes) -> Cost:
    (header_bytes,) = struct.unpack_from("<I", head, 14)
    if header_bytes < 40:
        raise _Strange
    width, height, _, bits = struct.unpack_from("<iiHH", head, 18)
    (compression,) = struct.unpack("<I", (head + _rest(stream, 8))[30:34])
    if compression not in (0, 3) or bits not in (1, 4, 8, 16, 24, 32):
        raise _Strange  # run lengths are decoded by Python code
    return _plain("BMP", abs(width), abs(height), stream)


def _webp(stream: BinaryIO, head: bytes) -> Cost:
    if head[8:12] != b"WEBP":
        raise _Strange
    stream.seek(12)
    size: tuple[int, int] | None = None
    for _ in range(_MAX_PARTS):
        header = stream.read(8)
        if len(header) < 8:
            break
        kind, length = struct.unpack("<4sI", header)
        content = stream.tell()
        if kind == b"EXIF":
            _check_tags(stream.read(min(length, _MAX_METADATA_BYTES)).removeprefix(b"Exif\0\0"))
        elif size is None and kind in _WEBP_SIZES:
            size = _WEBP_SIZES[kind](_exactly(stream, 10))
        stream.seek(content + length + length % 2)
    if size is None or len(header) == 8:
        raise _Strange
    return _plain("WEBP", *size, stream)


_WEBP_SIZES: dict[bytes, Callable[[bytes], tuple[int, int]]] = {
    b"VP8X": lambda data: (
        int.from_bytes(data[4:7], "little") + 1,
        int.from_bytes(data[7:10], "little") + 1,
    ),
    b"VP8 ": lambda data: (
        int.from_bytes(data[6:8], "little") & 0x3FFF,
        int.from_bytes(data[8:10], "little") & 0x3FFF,
    ),
    b"VP8L": lambda data: (
        (int.from_bytes(data[1:5], "little") & 0x3FFF) + 1,
        (int.from_bytes(data[1:5], "little") >> 14 & 0x3FFF) + 1,
    ),
}

_WALKS: tuple[tuple[bytes, Callable[[BinaryIO, bytes], Cost]], ...] = (
    (b"\xff\xd8\xff", _jpeg),
    (b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR", _png),
    (b"GIF8", _gif),
    (b"BM", _bmp),
    (b"RIFF", _webp),
)

_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
"""Sizes of TIFF's types (TIFF 6.0, section 2)."""


def _check_tags(block: bytes) -> None:
    """Raise `_Strange` unless the first directory of a TIFF structure is small."""
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None:
        return  # Pillow reads nothing of it either
    (offset,) = struct.unpack_from(f"{order}I", block, 4)
    if offset + 2 > len(block):
        return
    (count,) = struct.unpack_from(f"{order}H", block, offset)
    entries = block[offset + 2 : offset + 2 + 12 * count]
    entries = entries[: len(entries) // 12 * 12]
    kinds = struct.iter_unpack(f"{order}2xHI4x", entries)
    size = sum(min(_TYPE_BYTES.get(kind, 0) * number, len(block)) for kind, number in kinds)
    if count > _MAX_TAGS or size > _MAX_TAG_BYTES:
        raise _Strange


def _exactly(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise _Strange
    return data


def _rest(stream: BinaryIO, size: int) -> bytes:
    """The bytes behind the first 32."""
    stream.seek(32)
    return stream.read(size)


def _size(stream: BinaryIO) -> int:
    position = stream.tell()
    size = stream.seek(0, 2)
    stream.seek(position)
    return size
