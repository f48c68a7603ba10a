"""Bounds on how much a stream may yield, against archives that unpack to more than they should."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol


class Reader(Protocol):
    def read(self, size: int = ..., /) -> bytes: ...


@dataclass
class Allowance:
    """A number of bytes that may be read, from several streams; then `error` is raised."""

    left_bytes: int
    error: Exception

    def take(self, size_bytes: int) -> None:
        self.left_bytes -= size_bytes
        if self.left_bytes < 0:
            raise self.error


class Bounded:
    """Reads `file` within an allowance."""

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
        """A further bound within the block."""
        self._allowances.append(allowance)
        try:
            yield
        finally:
            self._allowances.pop()
