"""One user's indexed faces as a matrix, and the contacts nearest to a probe: exact search."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy
from django.db import models
from django.db.models import Exists, OuterRef
from numpy.typing import ArrayLike, NDArray

from backend.analysis import fields
from backend.analysis.nearest import Matrix
from backend.common.jobs.models import JobError
from backend.recognition.contract import MOST
from backend.recognition.gallery import confidence
from backend.recognition.models import Face, OtherEncoding, Reembedding

Integers = NDArray[numpy.int64]
Key = tuple[int, str]
"""A user's primary key, and the model that made the encodings."""

_MANY_NEW: Final = 500
"""With more new faces the whole gallery is read: a statement cannot name so many."""


class OnAnotherModel(JobError):
    """The gallery is not on the model that encoded the probe: they cannot be compared."""

    def __init__(self) -> None:
        text = "The gallery is being moved to another model. Please try again later."
        super().__init__(text, permanent=True)


@dataclass(frozen=True)
class Candidate:
    """A contact that the probe may show, by the nearest of its faces.

    `face` and `contact` are primary keys. `gap` is how much farther the nearest other contact is,
    below 0 where another is nearer, None where there is no other.
    """

    face: int
    contact: int
    distance: float
    gap: float | None
    confidence: float


@dataclass(frozen=True)
class Gallery:
    """The indexed faces of one user as of `version`, and each row's contact."""

    version: int
    faces: Matrix
    contacts: Integers
    curve: confidence.Curve | None = None
    """By which the confidence is estimated: its model's."""

    @cached_property
    def contacts_count(self) -> int:
        return len(numpy.unique(self.contacts))

    @property
    def nbytes(self) -> int:
        return max(1, self.faces.nbytes + self.contacts.nbytes)

    def nearest(self, encoding: ArrayLike, *, at_most: int = MOST) -> list[Candidate]:
        """The nearest contacts, nearest first, including those too far away to be named."""
        near = self.faces.nearest_of_groups(encoding, self.contacts, max(2, at_most))
        found = []
        for number, each in enumerate(near[:at_most]):
            other = near[1 if number == 0 else 0] if len(near) > 1 else None
            gap = other.distance - each.distance if other else None
            sure = confidence.estimate(
                each.distance, gap, contacts=self.contacts_count, by=self.curve
            )
            found.append(Candidate(each.id, each.group, each.distance, gap, sure))
        return found


def read(key: Key, version: int) -> Gallery:
    """The gallery from the database. Raises `OnAnotherModel`."""
    _refuse_another_model(key)
    # Rows may be newer than the version, which was read first: the next question reads them again.
    return Gallery(version, *_matrix(_rows(key)), confidence.curve(key[1]))


def updated(key: Key, version: int, old: Gallery) -> Gallery:
    """`old` with the changes since. A face's encoding never changes, its contact may."""
    _refuse_another_model(key)
    rows = _rows(key)
    pairs = [pair for some, at in rows for pair in some.values_list(f"{at}pk", f"{at}contact_id")]
    now = numpy.array(sorted(pairs), "i8").reshape(-1, 2)
    new = now[~numpy.isin(now[:, 0], old.faces.ids), 0].tolist()
    if len(new) > _MANY_NEW:
        return read(key, version)
    fresh, _ = _matrix([(some.filter(**{f"{at}pk__in": new}), at) for some, at in rows])
    stays = numpy.isin(old.faces.ids, now[:, 0])
    ids = numpy.concatenate([old.faces.ids[stays], fresh.ids])
    # Of none of them the size is not known.
    parts = [part for part in (old.faces.rows[stays], fresh.rows) if len(part)]
    faces = Matrix.of(numpy.concatenate(parts) if parts else [], ids)
    contacts = now[numpy.searchsorted(now[:, 0], ids), 1]
    return Gallery(version, faces, contacts, confidence.curve(key[1]))


def _rows(key: Key) -> list[tuple[models.QuerySet[Any, Any], str]]:
    """The rows with encodings of this model, each with the prefix of its face's fields.

    After a gallery was moved to another model, its old encodings stay active for the processes that
    still run the old one (`reembedding`).
    """
    user, model = key
    found: list[tuple[models.QuerySet[Any, Any], str]] = [
        (Face.objects.filter(user=user, is_indexed=True, model=model).order_by(), "")
    ]
    if OtherEncoding.objects.exists():
        matched = OtherEncoding.objects.filter(model=model, is_active=True).order_by()
        others = matched.filter(face__user=user, face__is_indexed=True).exclude(face__model=model)
        found.append((others, "face__"))
    return found


def _refuse_another_model(key: Key) -> None:
    """A gallery of which only the new faces have this model would call all others unknown."""
    user, model = key
    by_model = Face.objects.filter(user=user, is_indexed=True).values_list("model", flat=True)
    # The two ends of the index suffice where there is one model.
    ends = [by_model.order_by(order).first() for order in ("model", "-model")]
    if set(ends) <= {model, None}:
        return
    others = OtherEncoding.objects.filter(face=OuterRef("pk"), model=model, is_active=True)
    behind = Face.objects.filter(~Exists(others), user=user, is_indexed=True).exclude(model=model)
    if not behind.exists():
        return
    switched = Reembedding.objects.filter(user=user, model=model, switched_at__isnull=False)
    # What the gallery was switched from goes on answering for the faces that it knows.
    kept = OtherEncoding.objects.filter(face__user=user, model=model, is_active=True)
    if not switched.exists() and not kept.exists():
        raise OnAnotherModel


def _matrix(rows: list[tuple[models.QuerySet[Any, Any], str]]) -> tuple[Matrix, Integers]:
    """The encodings of all rows with their faces' keys as ids, and their contacts."""
    read = [fields.read_many(some, f"{at}pk", f"{at}contact_id") for some, at in rows]
    integers, encodings = read[0]
    for more_integers, more in read[1:]:
        integers = numpy.concatenate([integers, more_integers])
        if len(more):
            encodings = numpy.concatenate([encodings, more]) if len(encodings) else more
    faces = Matrix.of(encodings, integers[:, 0])
    return faces, numpy.ascontiguousarray(integers[:, 1])
