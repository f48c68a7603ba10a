"""Confidence: a probability, monotone, and fitted by logistic regression."""

import math
from statistics import NormalDist

import numpy
from django.test import SimpleTestCase, override_settings
from hypothesis import given
from hypothesis import strategies as st

from backend.analysis.services import DLIB
from backend.recognition.gallery import confidence
from backend.recognition.gallery.confidence import Curve

CEILING = 0.9938

distances = st.floats(0, 4)
gaps = st.none() | st.floats(-4, 4)
counts = st.integers(1, 10**6)


def confidence_of(distance: float, gap: float | None, contacts: int = 1) -> float:
    return confidence.estimate(distance, gap, contacts=contacts, by=confidence.curve(DLIB))


class ConfidenceTests(SimpleTestCase):
    @given(distances, gaps, counts)
    def test_it_is_between_0_and_1(self, distance: float, gap: float | None, count: int) -> None:
        self.assertTrue(0 <= confidence_of(distance, gap, count) <= CEILING < 1)

    @given(distances, distances, gaps, counts)
    def test_it_never_rises_with_the_distance(
        self, one: float, other: float, gap: float | None, count: int
    ) -> None:
        near, far = sorted((one, other))
        self.assertGreaterEqual(confidence_of(near, gap, count), confidence_of(far, gap, count))

    @given(distances, st.floats(-4, 4), st.floats(-4, 4), counts)
    def test_it_never_falls_with_the_gap(
        self, distance: float, one: float, other: float, count: int
    ) -> None:
        small, large = sorted((one, other))
        self.assertLessEqual(
            confidence_of(distance, small, count), confidence_of(distance, large, count)
        )
        self.assertLessEqual(
            confidence_of(distance, large, count), confidence_of(distance, None, count)
        )

    @given(distances, gaps, counts, counts)
    def test_it_never_rises_with_the_number_of_contacts(
        self, distance: float, gap: float | None, one: int, other: int
    ) -> None:
        few, many = sorted((one, other))
        self.assertGreaterEqual(
            confidence_of(distance, gap, few), confidence_of(distance, gap, many)
        )

    @given(st.lists(distances, min_size=2, max_size=5))
    def test_contacts_in_order_of_distance_are_in_order_of_confidence_and_share_at_most_one(
        self, near: list[float]
    ) -> None:
        near.sort()
        gaps = [near[1] - near[0], *(near[0] - each for each in near[1:])]
        sure = [confidence_of(*pair, len(near)) for pair in zip(near, gaps, strict=True)]
        self.assertEqual(sure, sorted(sure, reverse=True))
        self.assertLessEqual(sum(sure[:2]), 1)

    def test_two_equally_near_contacts_have_half_the_confidence_each(self) -> None:
        self.assertAlmostEqual(confidence_of(0.2, 0.0, 2), CEILING / 2, places=6)

    def test_the_table_of_the_documentation(self) -> None:
        known = {
            (0.3, None, 1): 0.994,
            (0.5, None, 1): 0.976,
            (0.6, None, 1): 0.497,
            (0.5, None, 100): 0.351,
            (0.4, 0.02, 2): 0.685,
        }
        for (distance, gap, contacts), wanted in known.items():
            self.assertAlmostEqual(confidence_of(distance, gap, contacts), wanted, places=3)

    @override_settings(FACES_MIN_CONFIDENCE=0.4)
    def test_the_minimum_confidence_is_a_setting(self) -> None:
        self.assertTrue(confidence.is_unknown(0.3999))
        self.assertFalse(confidence.is_unknown(0.4))

    @override_settings(FACES_CONFIDENCE_SLOPE=10, FACES_CONFIDENCE_MIDPOINT=0.5)
    def test_the_curve_is_a_setting(self) -> None:
        self.assertAlmostEqual(confidence_of(0.6, None), CEILING / (1 + math.e))


class FitTests(SimpleTestCase):
    def test_the_curve_of_two_normal_distributions_of_one_width_is_exact(self) -> None:
        # Their likelihood ratio is exp((m2 - m1)(midpoint - d) / σ²) exactly.
        quantiles = [(number + 0.5) / 4000 for number in range(4000)]
        same = [NormalDist(0.4, 0.1).inv_cdf(each) for each in quantiles]
        different = [NormalDist(0.8, 0.1).inv_cdf(each) for each in quantiles[::7]]
        fitted = confidence.fitted(same, different)
        self.assertAlmostEqual(fitted.midpoint, 0.6, places=2)
        self.assertAlmostEqual(fitted.slope, 40, delta=2)

    def test_separable_data_have_a_finite_curve(self) -> None:
        fitted = confidence.fitted([0.3, 0.35, 0.4], [0.7, 0.8])
        self.assertTrue(0.4 < fitted.midpoint < 0.7 and 5 < fitted.slope < 500, fitted)

    def test_the_curve_of_generated_pairs_is_recovered(self) -> None:
        random = numpy.random.default_rng(3)
        curve = Curve(slope=25.0, midpoint=0.55)
        pairs = random.uniform(0.2, 0.9, 20_000)
        is_same = random.random(len(pairs)) < 1 / (1 + numpy.exp(25 * (pairs - 0.55)))
        fitted = confidence.fitted(pairs[is_same].tolist(), pairs[~is_same].tolist())
        self.assertAlmostEqual(fitted.slope, curve.slope, delta=1.5)
        self.assertAlmostEqual(fitted.midpoint, curve.midpoint, delta=0.02)

    def test_fitting_needs_both_kinds_of_pairs_and_nearer_pairs_of_one_person(self) -> None:
        for same, different in (([], [0.8]), ([0.3], []), ([0.8, 0.9], [0.3, 0.4])):
            with self.assertRaises(ValueError):
                confidence.fitted(same, different)
