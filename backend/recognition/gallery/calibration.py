"""Fits the curve of confidence to galleries, whose contacts label which faces are one person's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy
from numpy.typing import NDArray

from backend.analysis import fields
from backend.recognition.gallery import confidence
from backend.recognition.gallery.confidence import Curve
from backend.recognition.models import Face, User

FACES_OF_A_USER: Final = 1000
"""Half a million pairs: more of them add nothing about the user's photos."""

DISTANCES: Final = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8)

Distances = NDArray[numpy.float64]


@dataclass(frozen=True)
class Fit:
    """The distances of all pairs, and the curve that fits them best."""

    same: Distances
    different: Distances
    curve: Curve

    def table(self) -> Iterator[tuple[float, float, float, float, float]]:
        """For each distance the share of both kinds that is nearer; confidence now, and fitted."""
        for distance in DISTANCES:
            now, then = (
                confidence.estimate(distance, None, contacts=1, by=curve)
                for curve in (confidence.curve(), self.curve)
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
    return Fit(same, different, confidence.fitted(same.tolist(), different.tolist()))


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
