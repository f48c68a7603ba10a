"""Whose face is this, among one user's? Exact: every face that is used is compared with the probe.

Reading 100 000 encodings takes a quarter of a second, comparing them a few milliseconds; so each
process keeps the galleries that were asked lately, as long as their bytes fit. A kept gallery is
compared with its user's `gallery_version` before each answer, and only what changed is read again.
What is deleted is gone from memory with the next question about its user, and at the latest
`FACES_GALLERY_CACHE_IDLE_S` after the last one.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import numpy
from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef
from numpy.typing import ArrayLike, NDArray

from backend.analysis import fields
from backend.analysis.nearest import Matrix
from backend.common.jobs.work import WorkError
from backend.recognition.gallery import confidence
from backend.recognition.models import Face, OtherEncoding, Reembedding, User

MOST: Final = 3
"""Candidates of one answer, as the contract has it."""

Integers = NDArray[numpy.int64]
Key = tuple[int, str]
"""A user's primary key, and the model that made the encodings."""

_MANY_NEW: Final = 500
"""Of more new faces the whole gallery is read: they would make too long a list for a statement."""


class OnAnotherModel(WorkError):
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
    """The faces of one user that are matched, as of `version`; `contacts` names each row's."""

    version: int
    faces: Matrix
    contacts: Integers
    contacts_count: int

    @classmethod
    def of(cls, version: int, faces: Matrix, contacts: Integers) -> Gallery:
        return cls(version, faces, contacts, len(numpy.unique(contacts)))

    @property
    def nbytes(self) -> int:
        return self.faces.nbytes + self.contacts.nbytes

    def best(self, encoding: ArrayLike, *, at_most: int = MOST) -> list[Candidate]:
        """The nearest contacts, also those that are too far to be named; nearest first."""
        near = self.faces.nearest_of_groups(encoding, self.contacts, max(2, at_most))
        found = []
        for number, each in enumerate(near[:at_most]):
            other = near[1 if number == 0 else 0] if len(near) > 1 else None
            gap = other.distance - each.distance if other else None
            sure = confidence.of(each.distance, gap, contacts=self.contacts_count)
            found.append(Candidate(each.id, each.group, each.distance, gap, sure))
        return found


def best(user: User, encoding: ArrayLike, *, model: str, at_most: int = MOST) -> list[Candidate]:
    """The contacts of `user` that a probe may show, most confident first; none if it is unknown.

    `model` made the probe's encoding; raises `OnAnotherModel` if another made the gallery's. Not
    to be called in a transaction that has changed the gallery: what is rolled back must not stay.
    """
    found = of(user, model=model).best(encoding, at_most=at_most)
    return [each for each in found if not confidence.is_unknown(each.confidence)]


def of(user: User, *, model: str) -> Gallery:
    """The user's gallery as it is now, or later by what changes meanwhile."""
    return _kept.get((user.pk, model))


def forget() -> None:
    """Drop all that is kept in this process."""
    _kept.clear()


def kept() -> list[Key]:
    """What this process keeps, the one asked last at the end."""
    return _kept.keys()


class _Kept:
    """Galleries in memory, the one asked last at the end."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._galleries: OrderedDict[Key, Gallery] = OrderedDict()
        self._asked_at: dict[Key, float] = {}
        self._loading: dict[Key, tuple[threading.Lock, int]] = {}
        self._timer: threading.Timer | None = None

    def get(self, key: Key) -> Gallery:
        version = _version(key)
        found = self._look(key)
        if found is not None and found.version == version:
            return found
        # One thread reads a gallery; the others would only read the same again.
        with self._turn(key):
            version, found = _version(key), self._look(key)
            if found is None or found.version != version:
                found = _read(key, version) if found is None else _updated(key, version, found)
                self._keep(key, found)
        return found

    def keys(self) -> list[Key]:
        with self._lock:
            return list(self._galleries)

    def clear(self) -> None:
        with self._lock:
            self._galleries.clear()
            self._asked_at.clear()
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def _look(self, key: Key) -> Gallery | None:
        with self._lock:
            self._drop_idle()
            found = self._galleries.get(key)
            if found is not None:
                self._galleries.move_to_end(key)
                self._asked_at[key] = time.monotonic()
            return found

    def _keep(self, key: Key, gallery: Gallery) -> None:
        with self._lock:
            self._drop(key)
            if 0 < gallery.nbytes <= settings.FACES_GALLERY_CACHE_BYTES:
                self._galleries[key] = gallery
                self._asked_at[key] = time.monotonic()
            while self._nbytes() > settings.FACES_GALLERY_CACHE_BYTES:
                self._drop(next(iter(self._galleries)))
            self._watch()

    def _nbytes(self) -> int:
        return sum(gallery.nbytes for gallery in self._galleries.values())

    def _drop(self, key: Key) -> None:
        self._galleries.pop(key, None)
        self._asked_at.pop(key, None)

    def _drop_idle(self) -> None:
        oldest = time.monotonic() - settings.FACES_GALLERY_CACHE_IDLE_S
        for key in [key for key, asked_at in self._asked_at.items() if asked_at <= oldest]:
            self._drop(key)

    def _watch(self) -> None:
        """Drop what is idle also when nobody asks for anything any more."""
        if self._timer is None and self._asked_at:
            left_s = min(self._asked_at.values()) + settings.FACES_GALLERY_CACHE_IDLE_S
            self._timer = threading.Timer(max(0.0, left_s - time.monotonic()), self._woken)
            self._timer.daemon = True
            self._timer.start()

    def _woken(self) -> None:
        with self._lock:
            self._timer = None
            self._drop_idle()
            self._watch()

    @contextmanager
    def _turn(self, key: Key) -> Iterator[None]:
        """One thread at a time for each key; the lock goes with the last that wants it."""
        with self._lock:
            lock, wanted = self._loading.get(key, (threading.Lock(), 0))
            self._loading[key] = lock, wanted + 1
        try:
            with lock:
                yield
        finally:
            with self._lock:
                lock, wanted = self._loading.pop(key)
                if wanted > 1:
                    self._loading[key] = lock, wanted - 1


_kept: Final = _Kept()


def _version(key: Key) -> int:
    """The user's version; -1 for one that is gone, who has no faces either."""
    versions = User.objects.filter(pk=key[0]).values_list("gallery_version", flat=True)
    return next(iter(versions), -1)


def _rows(key: Key) -> list[tuple[models.QuerySet[Any, Any], str]]:
    """What is compared with a probe of this model, and where each row has its face's key.

    After a gallery was moved to another model, its old encodings stay matched for the processes
    that still run the old one (`reembedding`).
    """
    user, model = key
    found: list[tuple[models.QuerySet[Any, Any], str]] = [
        (Face.objects.filter(user=user, used=True, model=model).order_by(), "")
    ]
    if OtherEncoding.objects.exists():
        matched = OtherEncoding.objects.filter(model=model, is_matched=True).order_by()
        others = matched.filter(face__user=user, face__used=True).exclude(face__model=model)
        found.append((others, "face__"))
    return found


def _refuse_another_model(key: Key) -> None:
    """With the new faces alone the others would be unknown."""
    user, model = key
    by_model = Face.objects.filter(user=user, used=True).values_list("model", flat=True)
    # The first and the last of the index: no more has to be looked at where there is one model.
    ends = [by_model.order_by(order).first() for order in ("model", "-model")]
    if set(ends) <= {model, None}:
        return
    others = OtherEncoding.objects.filter(face=OuterRef("pk"), model=model, is_matched=True)
    behind = Face.objects.filter(~Exists(others), user=user, used=True).exclude(model=model)
    switched = Reembedding.objects.filter(user=user, model=model, switched_at__isnull=False)
    if behind.exists() and not switched.exists():
        raise OnAnotherModel


def _read(key: Key, version: int) -> Gallery:
    _refuse_another_model(key)
    # Rows may be newer than the version, which was read before them; then they are read again.
    return Gallery.of(version, *_matrix(_rows(key)))


def _updated(key: Key, version: int, old: Gallery) -> Gallery:
    """`old` with what has changed since: a face's encoding never does, its contact may."""
    _refuse_another_model(key)
    rows = _rows(key)
    pairs = [pair for some, at in rows for pair in some.values_list(f"{at}pk", f"{at}contact_id")]
    now = numpy.array(sorted(pairs), "i8").reshape(-1, 2)
    new = now[~numpy.isin(now[:, 0], old.faces.ids), 0].tolist()
    if len(new) > _MANY_NEW:
        return _read(key, version)
    fresh, _ = _matrix([(some.filter(**{f"{at}pk__in": new}), at) for some, at in rows])
    stays = numpy.isin(old.faces.ids, now[:, 0])
    ids = numpy.concatenate([old.faces.ids[stays], fresh.ids])
    faces = Matrix.of(numpy.concatenate([old.faces.rows[stays], fresh.rows]), ids)
    return Gallery.of(version, faces, now[numpy.searchsorted(now[:, 0], ids), 1])


def _matrix(rows: list[tuple[models.QuerySet[Any, Any], str]]) -> tuple[Matrix, Integers]:
    """The encodings of all rows with their faces' keys as ids, and their contacts."""
    read = [fields.read_many(some, f"{at}pk", f"{at}contact_id") for some, at in rows]
    integers, encodings = read[0]
    for more_integers, more in read[1:]:
        integers = numpy.concatenate([integers, more_integers])
        encodings = numpy.concatenate([encodings, more])
    faces = Matrix.of(encodings, integers[:, 0])
    return faces, numpy.ascontiguousarray(integers[:, 1])
