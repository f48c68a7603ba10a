"""The nearest by products of matrices are those that comparing one by one in float64 finds."""

import math
import unittest
from typing import NamedTuple
from unittest import mock

import numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.analysis import nearest
from backend.analysis.nearest import Matrix, NearOfGroup

Numbers = numpy.ndarray[tuple[int, ...], numpy.dtype[numpy.float32]]


class Near(NamedTuple):
    id: int
    distance: float


def distance(a: Numbers, b: Numbers) -> float:
    difference = a.astype(numpy.float64) - b.astype(numpy.float64)
    return math.sqrt(float((difference**2).sum()))


def brute(rows: Numbers, ids: list[int], probe: Numbers) -> list[Near]:
    """All rows, nearest first, one by one."""
    near = [Near(id, distance(row, probe)) for row, id in zip(rows, ids, strict=True)]
    return sorted(near, key=lambda each: (each.distance, each.id))


class Case(NamedTuple):
    """What rows are made of: repeated, a hair apart, of very odd sizes."""

    seed: int
    rows: int
    people: int
    length: float
    hair: float
    size: int

    def made(self) -> tuple[Numbers, list[int], Numbers]:
        """Rows, their ids, and three probes."""
        random = numpy.random.default_rng(self.seed)
        base = random.normal(size=(self.people, self.size))
        base *= self.length / numpy.linalg.norm(base, axis=1)[:, None]
        rows = base[random.integers(0, len(base), self.rows + 3)]
        moved = random.normal(size=rows.shape) * random.integers(0, 2, (len(rows), 1))
        rows += moved * self.hair * self.length / math.sqrt(self.size)
        ids = random.permutation(self.rows * 3)[: self.rows].tolist()
        numbers = rows.astype(numpy.float32)
        return numbers[3:], ids, numbers[:3]


def cases() -> st.SearchStrategy[Case]:
    return st.builds(
        Case,
        seed=st.integers(0, 2**32),
        rows=st.integers(0, 40),
        size=st.sampled_from((128, 512, 1024)),
        people=st.integers(1, 4),
        length=st.sampled_from([1.4, 1.4, 0.0, 1e-30, 1e-3, 1e3, 1e17, 1e38]),
        hair=st.sampled_from([0.0, 1e-7, 1e-4, 0.4]),
    )


class NearestTests(unittest.TestCase):
    @settings(max_examples=100, deadline=None)
    @given(cases(), st.data(), st.integers(1, 64))
    def test_within_a_threshold_are_those_of_comparing_one_by_one(
        self, case: Case, data: st.DataObject, numbers: int
    ) -> None:
        rows, ids, probes = case.made()
        known = [brute(rows, ids, probe) for probe in probes]
        # Most telling is a threshold that is a distance, or the next number below one.
        distances = [near.distance for each in known for near in each] or [0.49]
        threshold = data.draw(st.sampled_from([0.49, *distances]))
        threshold = data.draw(st.sampled_from([threshold, math.nextafter(threshold, -1)]))
        with mock.patch.multiple(nearest, _PRODUCT_NUMBERS=numbers, _PROBES=2, _EXACT_ROWS=3):
            found = Matrix.of(rows, ids).within(probes, threshold)
        wanted = [(i, *near) for i, each in enumerate(known) for near in each]
        self.assertEqual(list(found), [each for each in wanted if each[2] <= threshold])

    @settings(max_examples=100, deadline=None)
    @given(cases(), st.integers(0, 5), st.integers(1, 50), st.integers(1, 64))
    def test_of_each_group_the_nearest_row(
        self, case: Case, k: int, groups: int, numbers: int
    ) -> None:
        rows, ids, probes = case.made()
        of = {id: id % groups for id in ids}
        matrix = Matrix.of(rows, ids)
        with mock.patch.object(nearest, "_PRODUCT_NUMBERS", numbers):
            found = matrix.nearest_of_groups(probes[0], numpy.array([*of.values()], "i8"), k)
        best: dict[int, Near] = {}
        for near in brute(rows, ids, probes[0]):
            best.setdefault(of[near.id], near)
        self.assertEqual(found, [NearOfGroup(group, *near) for group, near in best.items()][:k])

    def test_a_threshold_is_part_of_what_lies_within_it(self) -> None:
        axes = numpy.eye(128, dtype=numpy.float32)
        matrix = Matrix.of(axes[:2] * numpy.array([[0.5], [0.75]]), [7, 9])
        origin = numpy.zeros((1, 128))
        self.assertEqual(list(matrix.within(origin, 0.5)), [(0, 7, 0.5)])
        self.assertEqual(len(matrix.within(origin, 0.4999999)), 0)

    def test_of_equals_the_lower_id_comes_first(self) -> None:
        rows = numpy.ones((3000, 128))
        ids = numpy.arange(3000)[::-1]
        found = Matrix.of(rows, ids).nearest_of_groups(numpy.zeros(128), ids, 2)
        self.assertEqual([near.id for near in found], [0, 1])

    def test_without_rows_or_probes_nothing_is_found(self) -> None:
        empty, one = Matrix.of([], []), Matrix.of(numpy.ones((1, 128)), [1])
        probe = numpy.ones((1, 128))
        self.assertEqual(empty.nearest_of_groups(probe[0], numpy.empty(0, "i8"), 3), [])
        self.assertEqual(len(empty.within(probe, 9)) + len(one.within([], 9)), 0)

    def test_what_does_not_fit_is_refused(self) -> None:
        for rows, ids in (
            (numpy.ones((2, 128)), [1]),
            (numpy.ones((1, 127)), [1]),
            (numpy.ones((1, 1025)), [1]),
        ):
            with self.assertRaises(ValueError):
                Matrix.of(rows, ids)
        with self.assertRaises(ValueError):
            Matrix.of(numpy.ones((1, 128)), [1]).within(numpy.ones(128), 1)
        with self.assertRaises(ValueError):
            Matrix.of(numpy.ones((1, 128)), [1]).within(numpy.ones((1, 512)), 1)
