"""Which of many encodings are nearest to a probe: exactly, by one matrix product a block.

|a - b|² = |a|² + |b|² - 2ab makes distances a product of matrices, which the processor does at once
for all; in float32 it is wrong by up to `_slack`. So the product only rules out what is certainly
too far, and what is left is computed again in float64, from the differences. What comes out is
what comparing one by one in float64 would give: the same rows, in the same order, ties by the
lower id. No Django and no database here; `fields.read_many` reads a table's encodings fast.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy
from numpy.typing import ArrayLike, NDArray

DIMENSIONS: Final = 128

Floats32 = NDArray[numpy.float32]
Floats64 = NDArray[numpy.float64]
Integers = NDArray[numpy.int64]

_PRODUCT_NUMBERS: Final = 1 << 21
"""Distances computed at a time: 8 MB, about what stays in the processor's cache."""

_PROBES: Final = 256
"""Probes at a time; more make the product no faster."""

_EXACT_ROWS: Final = 2048
"""Rows computed again in float64 at a time: 2 MB a temporary."""

_UNIT: Final = 2.0**-24
"""Half of the distance from 1 to the next float32."""

_TOO_LARGE: Final = 1e30
"""Squares near the largest float32, whose sums may be infinite."""

_TINY: Final = 1e-30
"""Far more than what is lost in squares below the smallest float32."""


class Near(NamedTuple):
    """A row near a probe: its id, and the Euclidean distance in float64."""

    id: int
    distance: float


class NearOfGroup(NamedTuple):
    """The row of a group that is nearest to a probe."""

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
    """Encodings to compare with: `rows` (n, 128) float32, C-contiguous; `ids` (n,) int64.

    `squares` (n,) float32 are the rows' squared lengths, `longest` is the length of the longest.
    Nothing writes to the arrays, so that threads may share a matrix. Made by `Matrix.of`.
    """

    rows: Floats32
    ids: Integers
    squares: Floats32
    longest: float

    @classmethod
    def of(cls, rows: ArrayLike, ids: ArrayLike) -> Matrix:
        """Of (n, 128) numbers and n ids. Raises `ValueError` if they do not fit together.

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

        `probes` is (m, 128). Takes some tens of MB besides what it returns, whatever m and n
        are.
        """
        wanted, found = as_rows(probes), [_no_pairs()]
        for first_probe, first_row, squared, slack in self._blocks(wanted):
            near = numpy.argwhere(~(squared > _float32(threshold * threshold + slack)))
            rows, who = near[:, 1] + first_row, near[:, 0] + first_probe
            distances = exact_distances(wanted, who, self.rows, rows)
            kept = distances <= threshold
            found.append(Pairs(who[kept], self.ids[rows[kept]], distances[kept]))
        return _sorted(found)

    def nearest(self, probes: ArrayLike, k: int) -> list[list[Near]]:
        """For each of the (m, 128) probes the `k` nearest rows, nearest first; or all there are."""
        wanted = as_rows(probes)
        best = [_Best(self, probe, k) for probe in wanted]
        for first_probe, first_row, squared, slack in self._blocks(wanted):
            for number, of_probe in enumerate(squared):
                best[first_probe + number].look(of_probe, first_row, slack)
        return [each.found() for each in best]

    def nearest_of_groups(self, probe: ArrayLike, groups: Integers, k: int) -> list[NearOfGroup]:
        """The nearest row of each of the `k` groups that come nearest to one probe, nearest first.

        `groups` (n,) names the group of each row.
        """
        wanted, found = as_rows(numpy.atleast_2d(probe)), list[NearOfGroup]()
        squared, slack = self._all(wanted)
        left = numpy.ones(len(self), bool)
        while len(found) < k and left.any():
            near = ~(squared > _float32(float(squared[left].min()) + 2 * slack)) & left
            best = _Best(self, wanted[0], 1)
            best.add(numpy.flatnonzero(near))
            group = int(groups[best.rows[0]])
            (nearest,) = best.found()
            found.append(NearOfGroup(group, *nearest))
            left &= groups != group
        return found

    def _all(self, probe: Floats32) -> tuple[Floats32, float]:
        """The squared distances of one probe to all rows, and how wrong they may be."""
        blocks = list(self._blocks(probe))
        squared = [numpy.empty(0, numpy.float32), *(each[2][0] for each in blocks)]
        return numpy.concatenate(squared), max((each[3] for each in blocks), default=0.0)

    def _blocks(self, probes: Floats32) -> Iterator[tuple[int, int, Floats32, float]]:
        """The first probe and row of each block, squared distances, and how wrong they may be."""
        for first_probe in range(0, len(probes), _PROBES):
            some = probes[first_probe : first_probe + _PROBES]
            squares = _squares(some)
            slack = _slack(math.sqrt(squares.max()) + self.longest)
            step = max(1, _PRODUCT_NUMBERS // len(some))
            for first_row in range(0, len(self), step):
                block = slice(first_row, first_row + step)
                # What is too large for float32 becomes infinite or no number, which rules out none.
                with numpy.errstate(over="ignore", invalid="ignore"):
                    squared = (-2 * some) @ self.rows[block].T
                    squared += self.squares[block]
                    squared += squares.astype(numpy.float32)[:, None]
                yield first_probe, first_row, squared, slack


class _Best:
    """The `k` rows nearest to one probe, among those looked at so far."""

    def __init__(self, matrix: Matrix, probe: Floats32, k: int) -> None:
        self._matrix, self._probe, self._k = matrix, probe, k
        self.rows = numpy.empty(0, numpy.int64)
        self._distances = numpy.empty(0)

    def look(self, squared: Floats32, first_row: int, slack: float) -> None:
        """At rows from `first_row` on, by their squared distances, wrong by up to `slack`."""
        if self._k < 1:
            return
        limit = math.inf
        if len(squared) > self._k:
            limit = float(numpy.partition(squared, self._k - 1)[self._k - 1]) + 2 * slack
        if len(self.rows) == self._k:
            limit = min(limit, float(self._distances[-1]) ** 2 + slack)
        self.add(numpy.flatnonzero(~(squared > _float32(limit))) + first_row)

    def add(self, rows: Integers) -> None:
        matrix, none = self._matrix, numpy.zeros(len(rows), numpy.int64)
        distances = exact_distances(self._probe[None], none, matrix.rows, rows)
        rows = numpy.concatenate([self.rows, rows])
        distances = numpy.concatenate([self._distances, distances])
        order = numpy.lexsort((matrix.ids[rows], distances))[: self._k]
        self.rows, self._distances = rows[order], distances[order]

    def found(self) -> list[Near]:
        ids = self._matrix.ids[self.rows].tolist()
        return [Near(*each) for each in zip(ids, self._distances.tolist(), strict=True)]


def as_rows(numbers: ArrayLike) -> Floats32:
    """`numbers` as (m, 128) float32, C-contiguous. Raises `ValueError` if they are no such rows."""
    rows = numpy.ascontiguousarray(numbers, numpy.float32)
    if rows.size == 0:
        return rows.reshape(0, DIMENSIONS)
    if rows.ndim != 2 or rows.shape[1] != DIMENSIONS:
        raise ValueError(f"rows of {DIMENSIONS} numbers are wanted, not the shape {rows.shape}")
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


def _slack(lengths: float) -> float:
    """How wrong a squared distance may be, of rows whose lengths add up to at most `lengths`.

    A product of n numbers, in whatever order it is added up, is wrong by at most n·u/(1 - n·u)
    times |a||b| (Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 3.1), twice
    of which is at most 64·u·(|a|+|b|)² for n = 128; rounding the squares and adding them 4·u more.
    The rest of 80 is reserve.
    """
    squared = lengths * lengths
    return math.inf if squared > _TOO_LARGE else 80 * _UNIT * squared + _TINY


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
