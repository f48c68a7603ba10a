"""Streams that unpack what they are asked for, and never more than they may."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, Final, Protocol

_CHUNK_BYTES: Final = 1 << 16

_XZ_MEMORY_BYTES: Final = 256 << 20
"""`xz -9` needs 65 MB to unpack; a file may ask for 4 GB."""


class Reader(Protocol):
    def read(self, size: int = ..., /) -> bytes: ...


@dataclass
class Allowance:
    """So many bytes may be read, maybe from several streams; then it is `error`."""

    left_bytes: int
    error: Exception

    def take(self, size_bytes: int) -> None:
        self.left_bytes -= size_bytes
        if self.left_bytes < 0:
            raise self.error


class Bounded:
    """Reads of `file` as long as the allowance lasts."""

    def __init__(self, file: Reader, allowance: Allowance) -> None:
        self._file = file
        self._allowances = [allowance]

    def read(self, size: int = -1, /) -> bytes:
        data = self._file.read(size)
        for allowance in self._allowances:
            allowance.take(len(data))
        return data

    @contextmanager
    def at_most(self, allowance: Allowance) -> Iterator[None]:
        """A narrower bound within the block."""
        self._allowances.append(allowance)
        try:
            yield
        finally:
            self._allowances.pop()


class XzReader:
    """Of .xz, all streams of it; `lzma.open` knows no bound of memory."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._unpacker = _xz()

    def read(self, size: int = -1, /) -> bytes:
        """At least one byte, except at the end. Raises `EOFError` where that is missing."""
        while True:
            packed = self._packed()
            if packed is None:
                return b""
            if unpacked := self._unpacker.decompress(packed, max_length=size):
                return unpacked

    def _packed(self) -> bytes | None:
        """What the unpacker needs next; None at the end of the file."""
        if self._unpacker.eof:
            rest = self._unpacker.unused_data.lstrip(b"\0") or self._next_stream()
            self._unpacker = _xz()
            return rest or None
        if not self._unpacker.needs_input:
            return b""
        if packed := self._file.read(_CHUNK_BYTES):
            return packed
        raise EOFError("the stream is cut short")

    def _next_stream(self) -> bytes:
        """Between two there may be zeros."""
        while packed := self._file.read(_CHUNK_BYTES):
            if stream := packed.lstrip(b"\0"):
                return stream
        return b""


def unpacker(file: BinaryIO, head: bytes) -> Reader:
    """`file` unpacked, as its first bytes say: gzip, bzip2, xz, or as it is."""
    if head.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=file, mode="rb")
    if head.startswith(b"BZh"):
        return bz2.BZ2File(file)
    return XzReader(file) if head.startswith(b"\xfd7zXZ\0") else file


def _xz() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY_BYTES)
