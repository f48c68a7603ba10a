"""The probability that a probe shows a contact (docs/confidence.md has the data and the limits).

    confidence = 0.9938 / (1 + n·exp(slope·(distance - midpoint)) + exp(-slope·gap))

It is Bayes' rule. A priori the probe shows a stranger with probability ½, else one of the gallery's
n contacts, each equally likely. At a distance of `midpoint` one person and two are equally likely;
each 1/`slope` less makes one person e times as likely. `gap` is how much farther the nearest other
contact is: below 0 if it is nearer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy
from django.conf import settings
from numpy.typing import NDArray

from backend.analysis import services as analysis

Certainty = Literal["sure", "likely", "possible"]

SURE: Final = 0.95
LIKELY: Final = 2 / 3

_LARGEST_POWER: Final = 700.0
"""`exp` of more is infinite."""

_FIT_STEPS: Final = 100

_FIT_PENALTY: Final = 1e-3
"""A thousandth of a pair. Without it the steepest curve would fit best where a threshold separates
the pairs without error."""


@dataclass(frozen=True)
class Curve:
    """The two parameters that are fitted to data, and the most that the confidence reaches.

    That is the model's accuracy on LFW; of dlib's it is the highest figure published on any data.
    """

    slope: float
    midpoint: float
    ceiling: float = 0.9938


def curve(model: str) -> Curve | None:
    """The curve of the encodings of `model`; None where no thresholds of it are known."""
    found = analysis.thresholds(model)
    return Curve(found.slope, found.midpoint, found.ceiling) if found else None


def estimate(distance: float, gap: float | None, *, contacts: int, by: Curve | None) -> float:
    """The confidence, in [0, 1]. `gap` is None if the gallery has no other contact.

    It never rises with the distance or the number of contacts, and never falls with the gap. `by`
    is None of a model without thresholds: then it is 0, because nothing is guessed.
    """
    if by is None:
        return 0.0
    stranger = max(1, contacts) * _exp(by.slope * (distance - by.midpoint))
    other = 0.0 if gap is None else _exp(-by.slope * gap)
    return by.ceiling / (1 + stranger + other)


def is_unknown(confidence: float, min_confidence: float | None = None) -> bool:
    """Whether a contact with this confidence is not named; by default the setting decides."""
    least = settings.FACES_MIN_CONFIDENCE if min_confidence is None else min_confidence
    return confidence < least


def in_a_word(confidence: float) -> Certainty:
    """The confidence for people: wrong in fewer than 1 of 20, in fewer than 1 of 3, more often."""
    if confidence >= SURE:
        return "sure"
    return "likely" if confidence >= LIKELY else "possible"


def fitted(same: Sequence[float], different: Sequence[float]) -> Curve:
    """The curve for distances of pairs of one person and of two, by logistic regression.

    Both kinds have the same weight in sum. Raises `ValueError` if one kind is missing, or if pairs
    of one person are no nearer than others.
    """
    if not len(same) or not len(different):
        raise ValueError("Pairs of the same person are needed, and pairs of different people.")
    distances = numpy.concatenate([numpy.asarray(same), numpy.asarray(different)], dtype="f8")
    is_same = numpy.arange(len(distances)) < len(same)
    weights = numpy.where(is_same, 0.5 / len(same), 0.5 / len(different))
    slope, midpoint = _regression(distances, is_same.astype("f8"), weights)
    if not slope > 0:
        raise ValueError("In these pairs the same person is no nearer than another.")
    return Curve(slope, midpoint)


def _regression(
    distances: NDArray[numpy.float64],
    is_same: NDArray[numpy.float64],
    weights: NDArray[numpy.float64],
) -> tuple[float, float]:
    """Newton's method on the likelihood of P(same) = 1 / (1 + exp(slope·(distance - midpoint)))."""
    # Centred and scaled for numerical stability.
    centre, scale = float(distances.mean()), float(distances.std()) or 1.0
    columns = numpy.stack([numpy.ones_like(distances), (centre - distances) / scale], axis=1)
    penalty, wanted = numpy.diag([0.0, _FIT_PENALTY / len(distances)]), numpy.zeros(2)
    for _ in range(_FIT_STEPS):
        probable = 1 / (1 + numpy.exp(-numpy.clip(columns @ wanted, -50, 50)))
        gradient = columns.T @ (weights * (is_same - probable)) - penalty @ wanted
        curvature = (columns * (weights * probable * (1 - probable))[:, None]).T @ columns
        step = numpy.linalg.solve(curvature + penalty + 1e-9 * numpy.eye(2), gradient)
        wanted += numpy.clip(step, -2, 2)
    slope = float(wanted[1]) / scale
    return slope, centre + (float(wanted[0]) / slope if slope else 0.0)


def _exp(power: float) -> float:
    return math.exp(min(power, _LARGEST_POWER))
