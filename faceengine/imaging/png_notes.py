"""PNG files without what is odd in their notes: Pillow refuses them whole, browsers ignore it.

A chunk whose name begins with a small letter is ancillary: it is not needed to show the picture
(PNG specification, 5.4 and 13.2). One that is damaged, or odd for its kind, is left out.
"""

import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO

_SIGNATURE = b"\x89PNG\r\n\x1a\n"

_MAX_CHUNKS = 4096
"""Of a file that are looked at; `inspection` has the same bound of a plain one."""

_MAX_PROFILE_BYTES = 8 << 20
"""As in `colour`."""

_LENGTHS = {b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"pHYs": 9, b"acTL": 8, b"fcTL": 26}
_ANIMATION = (b"acTL", b"fcTL", b"fdAT")
_TRANSPARENCY = {0: 2, 2: 6}
"""Bytes of tRNS by colour type; of a palette up to 256."""


@dataclass(frozen=True, slots=True)
class _Chunk:
    kind: bytes
    start: int
    length: int
    content: bytes
    """Of an ancillary one; with its checksum."""

    @property
    def end(self) -> int:
        return self.start + 12 + self.length

    @property
    def is_needed(self) -> bool:
        return not self.kind[0] & 0x20


def without_odd_notes(stream: BinaryIO, head: bytes) -> BinaryIO | None:
    """A copy of the PNG in `stream` without odd notes; None where there is none, or no PNG."""
    if not head.startswith(_SIGNATURE) or len(head) < 33:
        return None
    judge, odd = _Judge(colour_type=head[25]), list[_Chunk]()
    for chunk in _chunks(stream):
        if not chunk.is_needed and not judge.is_sane(chunk):
            odd.append(chunk)
    if not odd:
        return None
    return _without(stream, odd)


def _chunks(stream: BinaryIO) -> Iterator[_Chunk]:
    """Those that are whole, without the content of the ones that hold the picture."""
    size, at = stream.seek(0, os.SEEK_END), len(_SIGNATURE)
    for _ in range(_MAX_CHUNKS):
        stream.seek(at)
        header = stream.read(8)
        if len(header) < 8:
            return
        length, kind = struct.unpack(">I4s", header)
        if at + 12 + length > size:
            return
        content = stream.read(length + 4) if kind[0] & 0x20 and kind != b"fdAT" else b""
        chunk = _Chunk(kind, at, length, content)
        yield chunk
        at = chunk.end
        if kind == b"IEND":
            return


class _Judge:
    """What was seen before a chunk decides too."""

    def __init__(self, colour_type: int) -> None:
        self._colour_type = colour_type
        self._is_animated = False

    def is_sane(self, chunk: _Chunk) -> bool:
        kind = chunk.kind
        if kind == b"fdAT":
            return self._is_animated and chunk.length >= 4
        data, checksum = chunk.content[:-4], chunk.content[-4:]
        if zlib.crc32(kind + data).to_bytes(4, "big") != checksum or not kind.isalpha():
            return False
        if kind in _ANIMATION:
            self._is_animated |= kind == b"acTL" and data[:4] != bytes(4)
            return self._is_animated and chunk.length == _LENGTHS[kind]
        if kind == b"tRNS":
            return chunk.length >= _TRANSPARENCY.get(self._colour_type, 1)
        if kind == b"iCCP":
            return _has_profile(data)
        if kind == b"zTXt":  # one that expands to megabytes stays, and is refused
            return data.partition(b"\0")[2][:1] == b"\0"
        return chunk.length == _LENGTHS.get(kind, chunk.length)


def _has_profile(data: bytes) -> bool:
    _, _, rest = data.partition(b"\0")
    try:
        inflated = zlib.decompressobj().decompress(rest[1:], _MAX_PROFILE_BYTES + 1)
    except zlib.error:
        return False
    return rest[:1] == b"\0" and 0 < len(inflated) <= _MAX_PROFILE_BYTES


def _without(stream: BinaryIO, odd: list[_Chunk]) -> BinaryIO:
    kept, at = BytesIO(), 0
    for chunk in odd:
        stream.seek(at)
        kept.write(stream.read(chunk.start - at))
        at = chunk.end
    stream.seek(at)
    kept.write(stream.read())
    kept.seek(0)
    return kept
