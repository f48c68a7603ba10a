"""Animations that are cut short, made readable for their decoders.

libwebp and libavif refuse one of which any part is missing; browsers show its first picture.
"""

import os
import struct
from io import BytesIO
from typing import BinaryIO

_PICTURES = (b"ANMF", b"VP8 ", b"VP8L")
"""Chunks of a WebP that hold a picture (RFC 9649, section 2)."""


def mended(stream: BinaryIO, head: bytes) -> BinaryIO:
    """`stream`, or a copy that its decoder reads; `head` is its beginning."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return _shortened_webp(stream, head) or _at_start(stream)
    return padded_avif(stream, b"\0") or _at_start(stream)


def _shortened_webp(stream: BinaryIO, head: bytes) -> BinaryIO | None:
    """The pictures that are whole, if the file is shorter than it says; None if none is whole."""
    if stream.seek(0, os.SEEK_END) >= 8 + struct.unpack_from("<I", head, 4)[0]:
        return None
    data = _all_of(stream)
    end, frames = 12, 0
    while end + 8 <= len(data):
        kind, size = struct.unpack_from("<4sI", data, end)
        following = end + 8 + size + size % 2
        if following > len(data):
            break
        end, frames = following, frames + (kind in _PICTURES)
    if not frames:
        return None
    return BytesIO(b"RIFF" + struct.pack("<I", end - 8) + data[8:end])


def padded_avif(stream: BinaryIO, filler: bytes) -> BinaryIO | None:
    """An animated AVIF with `filler` in place of its missing end; None where nothing is missing.

    The tables that come first say where each frame is, so a whole one is decoded as ever.
    """
    stream.seek(0)
    if stream.read(12)[4:] != b"ftypavis":
        stream.seek(0)
        return None
    length, end = stream.seek(0, os.SEEK_END), 0
    while end + 8 <= length:
        stream.seek(end)
        size = int.from_bytes(stream.read(4), "big")
        if size < 8:  # to the end of the file, or longer than 4 GB
            return None
        end += size
    missing = end - length
    if missing <= 0 or missing > length * _MOST_MISSING:
        return None
    return BytesIO(_all_of(stream) + filler * missing)


_MOST_MISSING = 100
"""Times the length of what is there, so that a header can not ask for gigabytes."""


def _at_start(stream: BinaryIO) -> BinaryIO:
    stream.seek(0)
    return stream


def _all_of(stream: BinaryIO) -> bytes:
    stream.seek(0)
    return stream.read()
