"""How many images with a face a client sent, and the mean of their first encodings. Exact, always.

Numbers are added up as whole multiples of 2^-32, in 64 bits: sums of whole numbers do not depend on
the order, a deletion cancels its addition to the last bit, and three thousand million images fit.
Rounding a component to such a multiple moves it, and so the mean, by at most 2^-33: 1.2e-10.

Counting an image inserts a row and changes none, so writers never wait for each other; the sweep
folds a client's rows into one. A reader adds up the rows, in one statement: whatever is folded
meanwhile, it sees every image once.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import numpy
from django.db import connection, transaction
from django.db.models import Count
from numpy.typing import NDArray

from backend.analysis import services as analysis
from backend.face_encodings.models import EncodedImage, Tally

logger = logging.getLogger(__name__)

Sums = NDArray[numpy.int64]

_UNIT: Final = 2.0**32
_DIMENSIONS: Final = 128

_FOLD_AT: Final = 16
"""Rows of one client that are worth folding: a reader adds up fewer in a millisecond."""

_BATCH: Final = 1000

_BEGIN: Final[Mapping[str, str]] = {
    "postgresql": "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    "sqlite": "BEGIN DEFERRED",
}
"""What makes all reads of a transaction see one moment, without keeping a writer waiting."""


@dataclass(frozen=True)
class Statistics:
    """The number of images, and the mean of their encodings: zeros if there are none."""

    images: int
    mean: list[float]


@dataclass
class Total:
    """A sum as it grows."""

    images: int
    sums: Sums

    @classmethod
    def nothing(cls) -> Total:
        return cls(0, numpy.zeros(_DIMENSIONS, numpy.int64))

    @classmethod
    def of(cls, rows: Iterable[tuple[int, bytes | memoryview]]) -> Total:
        """The total of tallies, as (images, sums)."""
        total = cls.nothing()
        for images, sums in rows:
            total.images += images
            total.sums += numpy.frombuffer(sums, "<i8")
        return total

    def add(self, encodings: Sequence[Sequence[float]]) -> None:
        """Count images by their first encodings."""
        self.images += len(encodings)
        if encodings:
            units = numpy.rint(numpy.asarray(encodings, numpy.float64) * _UNIT)
            self.sums += units.astype(numpy.int64).sum(axis=0)

    def minus(self, other: Total) -> Total:
        return Total(self.images - other.images, self.sums - other.sums)

    @property
    def is_nothing(self) -> bool:
        return self.images == 0 and not self.sums.any()


def read(owner_id: int) -> Statistics:
    """The statistics of a client as they are now."""
    total = _counted(owner_id)
    if total.images <= 0:
        return Statistics(0, [0.0] * _DIMENSIONS)
    return Statistics(total.images, (total.sums / (_UNIT * total.images)).tolist())


def count(owner_id: int, encodings: Sequence[Sequence[float]]) -> None:
    """Count images by their first encodings: part of the transaction that settles them."""
    total = Total.nothing()
    total.add(encodings)
    _write(owner_id, total)


def uncount(owner_id: int, encodings: Sequence[Sequence[float]]) -> None:
    """Take back what was counted: part of the transaction that deletes the images."""
    total = Total.nothing()
    total.add(encodings)
    _write(owner_id, Total.nothing().minus(total))


def forget(owner_id: int) -> None:
    """The sums of a client that has no images any more."""
    Tally.objects.filter(owner_id=owner_id).delete()


def fold() -> int:
    """Fold the rows of each client that has many; returns how many rows are fewer now.

    Any number may fold at once: who finds a row gone that it had added up gives up.
    """
    owners = Tally.objects.order_by().values("owner_id").annotate(rows=Count("pk"))
    many = list(owners.filter(rows__gte=_FOLD_AT).values_list("owner_id", flat=True))
    return sum(_fold_all(owner_id) for owner_id in many)


def recompute(owner_id: int) -> Iterator[tuple[int, Total | None]]:
    """Count a client's images anew: yields how many were looked at, and at last the difference.

    What is counted and what there is are read at one moment, so that it may go on meanwhile: images
    that come or go are in both or in neither.
    """
    with _snapshot():
        counted, found, after = _counted(owner_id), Total.nothing(), 0
        while rows := _next_images(owner_id, after):
            found.add(list(analysis.first_encodings(id for _, id in rows).values()))
            after = rows[-1][0]
            yield len(rows), None
    yield 0, found.minus(counted)


def correct(owner_id: int, difference: Total) -> None:
    """Add what `recompute` found to be missing: one more row."""
    _write(owner_id, difference)


def _counted(owner_id: int) -> Total:
    rows = Tally.objects.filter(owner_id=owner_id).order_by()
    return Total.of(rows.values_list("images", "sums"))


def _write(owner_id: int, total: Total) -> None:
    if not total.is_nothing:
        sums = total.sums.astype("<i8").tobytes()
        Tally.objects.create(owner_id=owner_id, images=total.images, sums=sums)


def _fold_all(owner_id: int) -> int:
    folded = 0
    while fewer := _fold_some(owner_id):
        folded += fewer
    return folded


def _fold_some(owner_id: int) -> int:
    with transaction.atomic():
        rows = Tally.objects.filter(owner_id=owner_id).order_by("pk")[:_BATCH]
        read = list(rows.values_list("pk", "images", "sums"))
        if len(read) < _FOLD_AT:
            return 0
        gone, _ = Tally.objects.filter(pk__in=[pk for pk, _, _ in read]).delete()
        if gone < len(read):  # another folds the same rows
            transaction.set_rollback(True)
            return 0
        _write(owner_id, Total.of((images, sums) for _, images, sums in read))
    return len(read) - 1


def _next_images(owner_id: int, after: int) -> list[tuple[int, int]]:
    """The next images of a client in which a face was found: their ids, and their analyses'."""
    images = EncodedImage.objects.filter(owner_id=owner_id, pk__gt=after, faces_count__gt=0)
    rows = images.exclude(settled_at=None).order_by("pk").values_list("pk", "analysis_id")
    return [(pk, id) for pk, id in rows[:_BATCH] if id is not None]


@contextmanager
def _snapshot() -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute(_BEGIN[connection.vendor])
        try:
            yield
        finally:
            cursor.execute("ROLLBACK")
