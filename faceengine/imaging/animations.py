"""Animations that are cut short behind their first frame, made readable for their decoders.

libwebp and libavif refuse a file of which any part is missing. GIF and PNG need no mending.
"""

import os
import struct
from io import BytesIO
from typing import BinaryIO

_ANIMATED = 2
"""The flag in the header of an extended WebP (RFC 9649, section 2.7)."""


def mended(stream: BinaryIO, head: bytes) -> BinaryIO:
    """`stream`, or a copy that its decoder reads; `head` is its beginning."""
    if head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and head[20] & _ANIMATED:
        return _shortened_webp(stream) or _at_start(stream)
    return padded_avif(stream, b"\0") or _at_start(stream)


def _shortened_webp(stream: BinaryIO) -> BinaryIO | None:
    """The frames that are whole, if others are missing; None if none is whole, or all are."""
    data = _all_of(stream)
    if len(data) >= 8 + struct.unpack_from("<I", data, 4)[0]:
        return None
    end, frames = 12, 0
    while end + 8 <= len(data):
        kind, size = struct.unpack_from("<4sI", data, end)
        following = end + 8 + size + size % 2
        if following > len(data):
            break
        end, frames = following, frames + (kind == b"ANMF")
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
