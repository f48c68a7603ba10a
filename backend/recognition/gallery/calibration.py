"""Fits the curve of confidence to galleries, whose contacts label which faces are one person's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy
from numpy.typing import NDArray

from backend.analysis import fields
from backend.analysis.services import Thresholds
from backend.recognition.gallery import confidence
from backend.recognition.gallery.confidence import Curve
from backend.recognition.models import Face, User

FACES_OF_A_USER: Final = 1000
"""Half a million pairs: more of them add nothing about the user's photos."""

DISTANCES: Final = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8)

_FALSE_MATCHES: Final = 0.001

Distances = NDArray[numpy.float64]


@dataclass(frozen=True)
class Fit:
    """The distances of all pairs, and the curve that fits them best."""

    same: Distances
    different: Distances
    curve: Curve
    now: Curve | None
    """The curve of the model as it is."""

    @property
    def thresholds(self) -> Thresholds:
        """For a model that has none: from these pairs alone.

        `same_person` is where the curve is even. Below `match_distance` lies one of a thousand
        pairs of two people. `ceiling` is the share of pairs that `same_person` decides rightly, by
        the rule of succession, so that few pairs promise little.
        """
        at = self.curve.midpoint
        right = (_share(self.same <= at) + _share(self.different > at)) / 2
        far = min(at, float(numpy.quantile(self.different, _FALSE_MATCHES)))
        return Thresholds(at, far, self.curve.slope, at, right)

    def table(self) -> Iterator[tuple[float, float, float, float, float]]:
        """For each distance the share of both kinds that is nearer; confidence now, and fitted."""
        for distance in DISTANCES:
            now, then = (
                confidence.estimate(distance, None, contacts=1, by=curve)
                for curve in (self.now, self.curve)
            )
            same = float((self.same <= distance).mean())
            different = float((self.different <= distance).mean())
            yield distance, same, different, now, then


def fit(users: Iterable[User], *, model: str) -> Fit:
    """Raises `ValueError` as `confidence.fitted` does."""
    pairs = [_pairs(user, model) for user in users]
    none = numpy.empty(0)
    same = numpy.concatenate([none, *(pair[0] for pair in pairs)])
    different = numpy.concatenate([none, *(pair[1] for pair in pairs)])
    fitted = confidence.fitted(same.tolist(), different.tolist())
    return Fit(same, different, fitted, confidence.curve(model))


def _share(hits: NDArray[numpy.bool_]) -> float:
    return float((hits.sum() + 1) / (len(hits) + 2))


def _pairs(user: User, model: str) -> tuple[Distances, Distances]:
    """Distances of faces of one contact, and of two. Equal images are no pair."""
    rows = Face.objects.filter(user=user, is_face=True, model=model).order_by("pk")
    integers, encodings = fields.read_many(rows[:FACES_OF_A_USER], "contact_id")
    contacts, exact = integers[:, 0], encodings.astype("f8")
    one, other = numpy.triu_indices(len(contacts), 1)
    squares = (exact**2).sum(axis=1)
    squared = squares[:, None] + squares - 2 * exact @ exact.T
    distances = numpy.sqrt(numpy.maximum(squared[one, other], 0))
    is_same = contacts[one] == contacts[other]
    return distances[is_same & (distances > 1e-6)], distances[~is_same]
