"""What looks wrong in a gallery: faces that do not fit their contact, and contacts that may be one.

Both are computed for each answer from the indexed faces; nothing of it is stored but the answer
that two contacts are two people.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import numpy
from numpy.typing import NDArray

from backend.recognition.gallery import confidence
from backend.recognition.gallery.index import Gallery, Integers
from backend.recognition.gallery.uploads import MOST_COMPARISONS

MOST_PAIRS: Final = 50

Pair = tuple[int, int]
"""The primary keys of two contacts, the smaller one first."""


@dataclass(frozen=True)
class OddFace:
    """A face that its contact's others do not resemble, or that another contact's resembles more.

    `face` and `near` are primary keys; `near` is the other contact, None where there is none.
    """

    face: int
    distance: float
    """Two thirds of the contact's other faces are no nearer."""
    near: int | None


@dataclass(frozen=True)
class Twins:
    """Two contacts that are likely one person."""

    contacts: Pair
    distance: float
    """Between their faces: the median."""


def odd_faces(gallery: Gallery, contact: int) -> list[OddFace]:
    """The odd ones among the indexed faces of a contact, the farthest first.

    A face is odd that is farther than the midpoint of its model from two thirds of the others,
    where two people are likelier than one, or nearer to those of another contact. Two thirds,
    because a few odd ones must not make the others odd. A single face cannot be odd.
    """
    own = numpy.flatnonzero(gallery.contacts == contact)
    if len(own) < 2 or gallery.curve is None:
        return []
    apart = _distances(gallery, own, own)
    limit, found = gallery.curve.midpoint, list[OddFace]()
    for row, distances in zip(own.tolist(), apart, strict=True):
        others = numpy.delete(distances, numpy.flatnonzero(own == row))
        distance = _typical(others)
        near = _nearer(gallery, row, min(distance, limit))
        if distance > limit or near is not None:
            found.append(OddFace(int(gallery.faces.ids[row]), distance, near))
    return sorted(found, key=lambda each: -each.distance)


def twins(gallery: Gallery, distinct: Collection[Pair] = ()) -> list[Twins]:
    """Pairs of contacts that are likely one person, the nearest first; without the `distinct`.

    Two of their faces are as near as a probe that is recognised with ⅔, and most of the others no
    farther than the midpoint: one look-alike among many faces makes no twins. In a
    gallery with more than `MOST_COMPARISONS` pairs of faces its newest faces are compared with all.
    """
    if gallery.curve is None or not len(gallery.faces):
        return []
    order = numpy.argsort(gallery.faces.ids)
    newest = order[-_most(gallery) :]
    near_enough = _likely(gallery.curve, gallery.contacts_count)
    near = gallery.faces.within(gallery.faces.rows[newest], near_enough)
    rows = order[numpy.searchsorted(gallery.faces.ids[order], near.ids)]
    pairs = numpy.stack([gallery.contacts[newest[near.probes]], gallery.contacts[rows]], axis=1)
    pairs = numpy.unique(numpy.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1), axis=0)
    found = list[Twins]()
    for one, other in pairs.tolist():
        if (one, other) in distinct:
            continue
        median = float(numpy.median(_distances(gallery, *_rows_of(gallery, one, other))))
        if median <= gallery.curve.midpoint:
            found.append(Twins((one, other), median))
    return sorted(found, key=lambda each: each.distance)[:MOST_PAIRS]


def _most(gallery: Gallery) -> int:
    return max(1, MOST_COMPARISONS // max(1, len(gallery.faces)))


def _likely(curve: confidence.Curve, contacts: int) -> float:
    """The distance at which a probe is recognised with `LIKELY` in a gallery of that size."""
    odds = (curve.ceiling / confidence.LIKELY - 1) / max(1, contacts)
    return max(0.0, curve.midpoint + math.log(odds) / curve.slope) if odds > 0 else 0.0


def _typical(distances: NDArray[numpy.float64]) -> float:
    """That two thirds of them are no less than."""
    return float(numpy.quantile(distances, 1 / 3, method="lower"))


def _nearer(gallery: Gallery, row: int, limit: float) -> int | None:
    """Another contact to whose faces that of this row is nearer than `limit`."""
    near = gallery.faces.nearest_of_groups(gallery.faces.rows[row], gallery.contacts, 2)
    for each in near:
        if each.group == gallery.contacts[row]:
            continue
        (theirs,) = _rows_of(gallery, each.group)
        apart = _typical(_distances(gallery, numpy.array([row]), theirs)[0])
        if apart < limit:
            return each.group
    return None


def _rows_of(gallery: Gallery, *contacts: int) -> list[Integers]:
    return [numpy.flatnonzero(gallery.contacts == each) for each in contacts]


def _distances(gallery: Gallery, rows: Integers, others: Integers) -> NDArray[numpy.float64]:
    """(n, m) Euclidean distances; a contact has 50 indexed faces at most."""
    one, other = (gallery.faces.rows[each].astype("f8") for each in (rows, others))
    return numpy.asarray(numpy.linalg.norm(one[:, None] - other[None], axis=2))
