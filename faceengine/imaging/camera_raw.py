"""Detection of cameras' raw files: sensor data that only a raw converter makes a picture of.

Most of them are TIFFs whose first directory holds a thumbnail, so a TIFF decoder takes them for a
tiny image. Numbers of tags: TIFF 6.0 and TIFF/EP (ISO 12234-2), Adobe DNG 1.7.
"""

import os
import struct
from collections.abc import Iterator
from typing import BinaryIO

_STARTS = (
    b"FUJIFILMCCD-RAW",  # RAF
    b"IIRO",  # ORF, as the next two
    b"IIRS",
    b"MMOR",
    b"IIU\0",  # RW2, RWL
    b"\0MRM",  # MRW
    b"FOVb",  # X3F
    b"II\x1a\0\0\0HEAPCCDR",  # CRW
)
_BYTE_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}

_WIDTH, _HEIGHT, _COMPRESSION, _PHOTOMETRIC = 256, 257, 259, 262
_SUB_DIRECTORIES, _DNG_VERSION = 330, 50706

_OF_SENSORS = frozenset({32803, 34892})
"""Photometric interpretations: colour filter array, linear raw."""
_OF_CAMERAS = frozenset({32767, 32769, 32770, 34713, 34892, 65535})
"""Compressions: Sony, packed, Samsung, Nikon, lossy DNG, Pentax."""

_MOST_DIRECTORIES, _MOST_TAGS = 20, 1000

_Directory = dict[int, tuple[int, ...]]


def is_camera_raw(stream: BinaryIO, head: bytes) -> bool:
    """Whether `stream`, which begins with `head`, is a raw file. Leaves it at its start."""
    if head.startswith(_STARTS) or head[4:12] == b"ftypcrx ":  # CR3
        return True
    order = _BYTE_ORDERS.get(head[:4])
    if order is None:
        return False
    if head[8:10] == b"CR":  # CR2
        return True
    try:
        return _has_sensor_data(list(_directories(stream, order)))
    finally:
        stream.seek(0)


def _has_sensor_data(directories: list[tuple[_Directory, bool]]) -> bool:
    if not directories:
        return False
    first = directories[0][0]
    return _DNG_VERSION in first or any(
        _first(tags, _PHOTOMETRIC) in _OF_SENSORS
        or _first(tags, _COMPRESSION) in _OF_CAMERAS
        # A reduced copy of the picture may hang below it, but no larger one.
        or (is_below and _pixels(tags) > _pixels(first))
        for tags, is_below in directories
    )


def _directories(stream: BinaryIO, order: str) -> Iterator[tuple[_Directory, bool]]:
    """Each directory, and whether it hangs below the first one instead of following it."""
    stream.seek(4)
    waiting = [(value, False) for value in _numbers(stream.read(4), order, "I")]
    for _ in range(_MOST_DIRECTORIES):
        if not waiting:
            return
        offset, is_below = waiting.pop(0)
        tags, following = _directory(stream, order, offset)
        yield tags, is_below
        if not is_below:
            waiting += [(each, True) for each in tags.get(_SUB_DIRECTORIES, ())]
            waiting += [(following, False)] if following else []


def _directory(stream: BinaryIO, order: str, offset: int) -> tuple[_Directory, int]:
    """Its tags of whole numbers, and where the next one is; 0 at the end."""
    stream.seek(offset)
    count = min(_MOST_TAGS, sum(_numbers(stream.read(2), order, "H")))
    table = stream.read(12 * count + 4)
    tags: _Directory = {}
    for at in range(0, min(12 * count, len(table) - 11), 12):
        tag, kind, length = struct.unpack_from(order + "HHI", table, at)
        tags[tag] = _value(stream, order, kind, length, table[at + 8 : at + 12])
    return tags, sum(_numbers(table[12 * count :], order, "I"))


def _value(stream: BinaryIO, order: str, kind: int, length: int, field: bytes) -> tuple[int, ...]:
    if kind == 3:
        return _numbers(field[: 2 * min(length, 2)], order, "H")
    if kind not in (4, 13):
        return ()
    if length == 1:
        return _numbers(field, order, "I")
    stream.seek(sum(_numbers(field, order, "I")), os.SEEK_SET)
    return _numbers(stream.read(4 * min(length, _MOST_DIRECTORIES)), order, "I")


def _numbers(data: bytes, order: str, kind: str) -> tuple[int, ...]:
    size = struct.calcsize(kind)
    count = len(data) // size
    return struct.unpack(f"{order}{count}{kind}", data[: count * size])


def _first(tags: _Directory, tag: int) -> int:
    return next(iter(tags.get(tag, ())), 0)


def _pixels(tags: _Directory) -> int:
    return _first(tags, _WIDTH) * _first(tags, _HEIGHT)
