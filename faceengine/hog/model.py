"""The weights of dlib's frontal face detector, read from the installed dlib.

No weights are kept in this project: a loaded ``dlib.fhog_object_detector`` writes itself out as the
bytes that ``dlib::serialize`` makes, and this module reads them. Their order (dlib 20.0.1,
``object_detector.h`` and ``scan_fhog_pyramid.h``):

=============  ===============================================================================
4 integers     format of the detector (2) and of its scanner (1), size of an empty pyramid (0, 0)
7 integers     cell size, padding, window width and height, most pyramid levels, width and
               height of the smallest level
1 real         regularisation in training
1 integer      weights of one filter bank, its threshold not counted
2 reals        overlap test: intersection over union, share of a box covered
1 integer      number of filter banks
a matrix each  all weights of a bank as one column: plane after plane, row after row, the
               threshold last
=============  ===============================================================================

An integer is one byte (low 7 bits: how many bytes follow, high bit: negative) and its magnitude,
least significant byte first. A real is two integers, a mantissa and an exponent of 2. A matrix is
its negated number of rows, the same of columns, and its elements.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

PLANES = 31
"""Features of one cell: 18 signed and 9 unsigned orientations, 4 texture energies."""
WINDOW_CELLS = 10
"""The window's side; a cell has 8 pixels."""
BANKS = 5
"""Faces from the front, turned left and right, tilted left and right."""

# dlib leaves out the parts of a filter with singular values below these (build_fhog_filterbank);
# with them the scores would be others.
_SMALLEST_SINGULAR_VALUE = 1e-4
_SMALLEST_SINGULAR_SHARE = 0.001


class UnknownDetector(ValueError):
    """These are not the bytes of a frontal face detector as dlib 20 writes it."""


@dataclass(frozen=True)
class Model:
    """The five filters, as sums of outer products, and the rules for what they find.

    ``planes`` (parts,) int32 says which feature a part filters; ``weights`` (parts, 2, 10) float32
    holds its row and its column; bank b has the parts from ``first_part[b]`` up to
    ``first_part[b + 1]``, ordered by plane. ``thresholds`` (5,) float64. Sizes in pixels.
    """

    first_part: list[int]
    planes: NDArray[np.int32]
    weights: NDArray[np.float32]
    thresholds: NDArray[np.float64]
    overlap_iou: float
    overlap_covered: float
    smallest_width_px: int
    smallest_height_px: int


def read(dlib_detector: Any) -> Model:
    """Read a ``dlib.fhog_object_detector``; ``UnknownDetector`` if it is not the frontal one."""
    (serialized,) = dlib_detector.__getstate__()
    return parse(serialized)


def parse(serialized: bytes) -> Model:
    """Read the bytes of a detector; ``UnknownDetector`` when they are unexpected or damaged."""
    reader = Reader(serialized)
    reader.expect([2, 1, 0, 0], "format")
    reader.expect([8, 0, 80, 80], "cell size, padding or window")
    reader.integer()  # most levels: 1000, more than an image can have
    smallest_width_px, smallest_height_px = reader.integer(), reader.integer()
    reader.real()
    reader.expect([PLANES * WINDOW_CELLS**2], "number of weights")
    overlap_iou, overlap_covered = reader.real(), reader.real()
    reader.expect([BANKS], "number of filter banks")
    banks = np.array([reader.column(PLANES * WINDOW_CELLS**2 + 1) for _ in range(BANKS)])
    reader.end()
    filters = banks[:, :-1].reshape(BANKS, PLANES, WINDOW_CELLS, WINDOW_CELLS)
    parts = [_separate(bank) for bank in filters]
    return Model(
        first_part=[sum(map(len, parts[:bank])) for bank in range(BANKS + 1)],
        planes=np.array([plane for bank in parts for plane, _ in bank], dtype=np.int32),
        weights=np.array([pair for bank in parts for _, pair in bank], dtype=np.float32),
        thresholds=banks[:, -1].copy(),
        overlap_iou=overlap_iou,
        overlap_covered=overlap_covered,
        smallest_width_px=smallest_width_px,
        smallest_height_px=smallest_height_px,
    )


def _separate(bank: NDArray[np.float64]) -> list[tuple[int, NDArray[np.float64]]]:
    """Split a filter (31, 10, 10) into dlib's outer products: plane, (row, column)."""
    parts = []
    for plane, weights in enumerate(bank):
        columns, values, rows = np.linalg.svd(weights)
        least = max(_SMALLEST_SINGULAR_VALUE, values.max() * _SMALLEST_SINGULAR_SHARE)
        for column, value, row in zip(columns.T, values, rows, strict=True):
            if value >= least:
                parts.append((plane, np.sqrt(value) * np.array([row, column])))
    return parts


class Reader:
    """Takes dlib's numbers off the front of bytes, one after the other."""

    def __init__(self, serialized: bytes) -> None:
        self._bytes = serialized
        self._at = 0

    def integer(self) -> int:
        """The next integer."""
        control = self._take(1)[0]
        magnitude = int.from_bytes(self._take(control & 0x7F), "little")
        return -magnitude if control & 0x80 else magnitude

    def real(self) -> float:
        """The next real; infinities and what is no number are refused."""
        mantissa, exponent = self.integer(), self.integer()
        if abs(exponent) > 1100:  # 32000 and more are infinities and no number
            raise UnknownDetector("a weight is not a finite number")
        return float(mantissa * 2.0**exponent)

    def column(self, rows: int) -> list[float]:
        """The next matrix, which must be one column of this many rows."""
        self.expect([-rows, -1], "size of a filter bank")
        return [self.real() for _ in range(rows)]

    def expect(self, values: list[int], what: str) -> None:
        """Skip these integers; other ones are refused as an unknown ``what``."""
        found = [self.integer() for _ in values]
        if found != values:
            raise UnknownDetector(f"{what}: expected {values}, found {found}")

    def end(self) -> None:
        """Refuse anything further."""
        if self._at != len(self._bytes):
            raise UnknownDetector(f"{len(self._bytes) - self._at} bytes are left over")

    def _take(self, count: int) -> bytes:
        taken = self._bytes[self._at : self._at + count]
        if len(taken) != count:
            raise UnknownDetector("the bytes end too early")
        self._at += count
        return taken
