"""Whose face is this, among one user's? Exact: every face that is used is compared with the probe.

Reading 100 000 encodings takes a quarter of a second, comparing them a few milliseconds; so each
process caches galleries. A cached gallery is checked against its user's `gallery_version` before
each answer, and only changes are read again. Deleted faces leave the memory with the next question
about their user, and at the latest `FACES_GALLERY_CACHE_IDLE_S` after the last one.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import numpy
from cachetools import TTLCache
from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef
from numpy.typing import ArrayLike, NDArray

from backend.analysis import fields
from backend.analysis.nearest import Matrix
from backend.common.jobs.models import JobError
from backend.recognition.gallery import confidence
from backend.recognition.models import Face, OtherEncoding, Reembedding, User

MOST: Final = 3
"""Candidates of one answer, as the contract has it."""

Integers = NDArray[numpy.int64]
Key = tuple[int, str]
"""A user's primary key, and the model that made the encodings."""

_LOADING_LOCKS: Final = 64

_MANY_NEW: Final = 500
"""Of more new faces the whole gallery is read: they would make too long a list for a statement."""


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
        return max(1, self.faces.nbytes + self.contacts.nbytes)

    def nearest(self, encoding: ArrayLike, *, at_most: int = MOST) -> list[Candidate]:
        """The nearest contacts, also those that are too far to be named; nearest first."""
        near = self.faces.nearest_of_groups(encoding, self.contacts, max(2, at_most))
        found = []
        for number, each in enumerate(near[:at_most]):
            other = near[1 if number == 0 else 0] if len(near) > 1 else None
            gap = other.distance - each.distance if other else None
            sure = confidence.estimate(each.distance, gap, contacts=self.contacts_count)
            found.append(Candidate(each.id, each.group, each.distance, gap, sure))
        return found


def identify(
    user: User, encoding: ArrayLike, *, model: str, at_most: int = MOST
) -> list[Candidate]:
    """The contacts of `user` that a probe may show, most confident first; none if it is unknown.

    `model` made the probe's encoding. Raises `OnAnotherModel` if another made the gallery's. Do not
    call it in a transaction that has changed the gallery: a rollback would leave it in the cache.
    """
    found = cache.get((user.pk, model)).nearest(encoding, at_most=at_most)
    return [each for each in found if not confidence.is_unknown(each.confidence)]


class GalleryCache:
    """Galleries in memory: an LRU cache by bytes, whose entries expire when they are idle."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # One thread reads a gallery while others wait for it. Users share locks by their hash.
        self._loading = [threading.Lock() for _ in range(_LOADING_LOCKS)]
        self._timer: threading.Timer | None = None
        self.clear()

    def get(self, key: Key) -> Gallery:
        with self._loading[hash(key) % _LOADING_LOCKS]:
            version, gallery = _version(key), self._find(key)
            if gallery is None:
                gallery = _read(key, version)
            elif gallery.version != version:
                gallery = _updated(key, version, gallery)
            self._store(key, gallery)
        return gallery

    def cached(self) -> list[Key]:
        """The least recently used first."""
        with self._lock:
            return list(self._galleries)

    def clear(self) -> None:
        """Drop all galleries, and read the settings anew."""
        with self._lock:
            # Expired entries are dropped as often as they expire: together that is the idle time.
            self._idle_s = settings.FACES_GALLERY_CACHE_IDLE_S / 2
            self._galleries: TTLCache[Key, Gallery] = TTLCache(
                settings.FACES_GALLERY_CACHE_BYTES, self._idle_s, getsizeof=lambda each: each.nbytes
            )

    def _find(self, key: Key) -> Gallery | None:
        with self._lock:
            return self._galleries.get(key)

    def _store(self, key: Key, gallery: Gallery) -> None:
        with self._lock:
            self._galleries.pop(key, None)
            with suppress(ValueError):  # it is larger than the cache
                self._galleries[key] = gallery
            self._expire_later()

    def _expire_later(self) -> None:
        if self._timer is None and self._galleries:
            self._timer = threading.Timer(self._idle_s, self._expire)
            self._timer.daemon = True
            self._timer.start()

    def _expire(self) -> None:
        with self._lock:
            self._galleries.expire()
            self._timer = None
            self._expire_later()


cache: Final = GalleryCache()


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
        (Face.objects.filter(user=user, is_indexed=True, model=model).order_by(), "")
    ]
    if OtherEncoding.objects.exists():
        matched = OtherEncoding.objects.filter(model=model, is_active=True).order_by()
        others = matched.filter(face__user=user, face__is_indexed=True).exclude(face__model=model)
        found.append((others, "face__"))
    return found


def _refuse_another_model(key: Key) -> None:
    """With the new faces alone the others would be unknown."""
    user, model = key
    by_model = Face.objects.filter(user=user, is_indexed=True).values_list("model", flat=True)
    # The first and the last of the index: no more has to be looked at where there is one model.
    ends = [by_model.order_by(order).first() for order in ("model", "-model")]
    if set(ends) <= {model, None}:
        return
    others = OtherEncoding.objects.filter(face=OuterRef("pk"), model=model, is_active=True)
    behind = Face.objects.filter(~Exists(others), user=user, is_indexed=True).exclude(model=model)
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
