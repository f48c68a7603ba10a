"""Exact nearest-neighbour search: the encodings nearest to a probe.

|a - b|² = |a|² + |b|² - 2ab makes the distances a product of matrices, which float32 computes fast
and off by less than a margin. Rows beyond the margin are ruled out; the distances of the others are
computed again in float64. The result equals that of comparing one by one in float64: the same rows
in the same order, equal distances by id. Without Django; `fields.read_many` reads the encodings.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy
from numpy.typing import ArrayLike, NDArray

DIMENSIONS: Final = range(128, 1025)
"""Numbers of an encoding, the same of all rows and probes."""

Floats32 = NDArray[numpy.float32]
Floats64 = NDArray[numpy.float64]
Integers = NDArray[numpy.int64]

_PRODUCT_NUMBERS: Final = 1 << 21
"""Distances computed at a time: 8 MB, which fits the processor's cache."""

_PROBES: Final = 256
"""Probes at a time; more make the product no faster."""

_EXACT_ROWS: Final = 2048
"""Rows computed again in float64 at a time: 2 MB a temporary."""

_MARGIN: Final = 1e-5
"""Of the squared sum of two lengths: how far a float32 product of 128 numbers may be off, doubled
(128·2⁻²⁴·2·|a||b| ≤ 4e-6·(|a|+|b|)²; Higham, Accuracy and Stability of Numerical Algorithms, 3.1).
Of n numbers it is n / 128 times that.
"""

_TINY: Final = 1e-30
"""More than is lost in squares below the smallest float32."""


class NearOfGroup(NamedTuple):
    """The row of a group that is nearest to a probe, and its Euclidean distance."""

    group: int
    id: int
    distance: float


@dataclass(frozen=True, eq=False)
class Pairs:
    """Columns of equal length: pair i is probe `probes[i]` (its index) and the row `ids[i]`.

    Sorted by probe, then by distance, then by id.
    """

    probes: Integers
    ids: Integers
    distances: Floats64

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[tuple[int, int, float]]:
        columns = (self.probes.tolist(), self.ids.tolist(), self.distances.tolist())
        return zip(*columns, strict=True)


@dataclass(frozen=True, eq=False)
class Matrix:
    """Encodings to compare with: `rows` (n, m) float32, C-contiguous; `ids` (n,) int64.

    `squares` (n,) float32 are the rows' squared lengths, `longest` is the length of the longest.
    Nothing writes to the arrays, so that threads may share a matrix. Made by `Matrix.of`.
    """

    rows: Floats32
    ids: Integers
    squares: Floats32
    longest: float

    @classmethod
    def of(cls, rows: ArrayLike, ids: ArrayLike) -> Matrix:
        """Of (n, m) numbers and n ids. Raises `ValueError` if they do not fit together.

        Arrays of the right type are taken as they are, without a copy.
        """
        numbers, names = as_rows(rows), numpy.ascontiguousarray(ids, numpy.int64)
        if names.shape != (len(numbers),):
            raise ValueError(f"{len(numbers)} encodings, but ids of the shape {names.shape}")
        squares = _squares(numbers)
        with numpy.errstate(over="ignore"):
            in_short = squares.astype(numpy.float32)
        return cls(numbers, names, in_short, math.sqrt(squares.max(initial=0.0)))

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def nbytes(self) -> int:
        """The memory that it takes."""
        return self.rows.nbytes + self.ids.nbytes + self.squares.nbytes

    def within(self, probes: ArrayLike, threshold: float) -> Pairs:
        """All pairs of a probe and a row whose distance is at most `threshold`.

        `probes` has rows of the matrix's size. Uses some tens of MB besides the result, however
        many there are.
        """
        wanted, found = as_rows(probes), [_no_pairs()]
        for first_probe, first_row, squared, margin in self._blocks(wanted):
            near = numpy.argwhere(~(squared > _float32(threshold * threshold + margin)))
            rows, numbers = near[:, 1] + first_row, near[:, 0] + first_probe
            distances = exact_distances(wanted, numbers, self.rows, rows)
            kept = distances <= threshold
            found.append(Pairs(numbers[kept], self.ids[rows[kept]], distances[kept]))
        return _sorted(found)

    def nearest_of_groups(self, probe: ArrayLike, groups: Integers, k: int) -> list[NearOfGroup]:
        """The nearest row of each of the `k` nearest groups, nearest first.

        `groups` (n,) names the group of each row.
        """
        wanted, found = as_rows(numpy.atleast_2d(probe)), list[NearOfGroup]()
        blocks = [(squared[0], margin) for _, _, squared, margin in self._blocks(wanted)]
        squared = numpy.concatenate([numpy.empty(0, "f4"), *(block for block, _ in blocks)])
        left = numpy.ones(len(self), bool)
        while len(found) < k and left.any():
            limit = _float32(float(squared[left].min()) + 2 * blocks[0][1])
            rows = numpy.flatnonzero(~(squared > limit) & left)
            distances = exact_distances(wanted, numpy.zeros_like(rows), self.rows, rows)
            best = numpy.lexsort((self.ids[rows], distances))[0]
            row = rows[best]
            found.append(NearOfGroup(int(groups[row]), int(self.ids[row]), float(distances[best])))
            left &= groups != groups[row]
        return found

    def _blocks(self, probes: Floats32) -> Iterator[tuple[int, int, Floats32, float]]:
        """The first probe and row of each block, squared distances, and their margin."""
        for first_probe in range(0, len(probes), _PROBES):
            some = probes[first_probe : first_probe + _PROBES]
            squares = _squares(some)
            margin = _margin(some) * (math.sqrt(squares.max()) + self.longest) ** 2 + _TINY
            step = max(1, _PRODUCT_NUMBERS // len(some))
            for first_row in range(0, len(self), step):
                block = slice(first_row, first_row + step)
                # Numbers too large for float32 become infinite or NaN, which rules no row out.
                with numpy.errstate(over="ignore", invalid="ignore"):
                    squared = (-2 * some) @ self.rows[block].T
                    squared += self.squares[block]
                    squared += squares.astype(numpy.float32)[:, None]
                yield first_probe, first_row, squared, margin


def _margin(rows: Floats32) -> float:
    return _MARGIN * max(1.0, float(rows.shape[1]) / DIMENSIONS[0])


def as_rows(numbers: ArrayLike) -> Floats32:
    """`numbers` as rows of float32, C-contiguous. Raises `ValueError` if they are no such rows.

    Rows have as many numbers as `DIMENSIONS` allows; of none the size is not known.
    """
    rows = numpy.ascontiguousarray(numbers, numpy.float32)
    if rows.size == 0:
        return rows.reshape(0, rows.shape[1] if rows.ndim == 2 else DIMENSIONS[0])
    if rows.ndim != 2 or rows.shape[1] not in DIMENSIONS:
        wanted = f"{DIMENSIONS[0]} to {DIMENSIONS[-1]}"
        raise ValueError(f"rows of {wanted} numbers are wanted, not the shape {rows.shape}")
    return rows


def exact_distances(a: Floats32, of_a: Integers, b: Floats32, of_b: Integers) -> Floats64:
    """Euclidean distances of the rows `a[of_a[i]]` and `b[of_b[i]]`, computed in float64."""
    found = numpy.empty(len(of_a))
    for start in range(0, len(of_a), _EXACT_ROWS):
        some = slice(start, start + _EXACT_ROWS)
        difference = a[of_a[some]].astype(numpy.float64) - b[of_b[some]]
        # Not by a product, whose order of adding depends on how many rows there are.
        found[some] = numpy.sqrt((difference * difference).sum(axis=1))
    return found


def _squares(rows: Floats32) -> Floats64:
    """The squared length of each row, without a copy of all rows in float64."""
    squares: Floats64 = numpy.einsum("ij,ij->i", rows, rows, dtype=numpy.float64)
    return squares


def _float32(limit: float) -> numpy.float32:
    with numpy.errstate(over="ignore"):
        return numpy.float32(limit)


def _no_pairs() -> Pairs:
    none = numpy.empty(0, numpy.int64)
    return Pairs(none, none, numpy.empty(0))


def _sorted(parts: list[Pairs]) -> Pairs:
    probes = numpy.concatenate([part.probes for part in parts])
    ids = numpy.concatenate([part.ids for part in parts])
    distances = numpy.concatenate([part.distances for part in parts])
    order = numpy.lexsort((ids, distances, probes))
    return Pairs(probes[order], ids[order], distances[order])
