"""The number of a client's images with a face, and the mean of their first encodings. Exact.

Encodings are summed in fixed point: multiples of 2^-32 in 64-bit integers. Integer sums do not
depend on the order, a deletion subtracts its addition to the last bit, and 2^31 images fit.
Rounding a component changes it, and so the mean, by at most 2^-33: 1.2e-10.

Each client has one counter row a model, changed under its lock in the transaction that completes or
deletes the images.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import numpy
from django.db import connection, transaction
from numpy.typing import NDArray

from backend.analysis import services as analysis
from backend.face_encodings.models import EncodedImage, StatisticsCounter

_UNIT: Final = 2.0**32

_BATCH: Final = 1000

_BEGIN: Final[Mapping[str, str]] = {
    "postgresql": "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    "sqlite": "BEGIN DEFERRED",
}
"""All reads of the transaction see one moment, and writers do not wait for it."""


@dataclass(frozen=True)
class Statistics:
    """The number of images, and the mean of their encodings: zeros if there are none."""

    images: int
    mean: list[float]


@dataclass(frozen=True)
class Total:
    """A number of images and the sum of their first encodings, in units of 2^-32.

    Of none the size of an encoding is not known, and `sums` is empty.
    """

    images: int
    sums: NDArray[numpy.int64]

    @classmethod
    def counting(cls, encodings: Sequence[Sequence[float]]) -> Total:
        """Of images by their first encodings."""
        if not encodings:
            return cls(0, numpy.empty(0, numpy.int64))
        units = numpy.rint(numpy.asarray(encodings, numpy.float64) * _UNIT).astype(numpy.int64)
        return cls(len(encodings), units.sum(axis=0))

    @classmethod
    def stored(cls, row: StatisticsCounter | None) -> Total:
        if row is None:
            return cls.counting([])
        return cls(row.images, numpy.frombuffer(row.sums, "<i8").astype(numpy.int64))

    def __add__(self, other: Total) -> Total:
        if not (self.sums.size and other.sums.size):
            return Total(self.images + other.images, self.sums if self.sums.size else other.sums)
        return Total(self.images + other.images, self.sums + other.sums)

    def __neg__(self) -> Total:
        return Total(-self.images, -self.sums)

    def __bool__(self) -> bool:
        return bool(self.images or self.sums.any())


def read(owner_id: int) -> Statistics:
    """The statistics of a client as they are now, of the service's model."""
    model = analysis.current_model()
    total = _counted(owner_id, model)
    if total.images <= 0:
        return Statistics(0, [0.0] * (analysis.dimensions(model) or 0))
    return Statistics(total.images, (total.sums / (_UNIT * total.images)).tolist())


def count(
    owner_id: int, encodings: Sequence[Sequence[float]], *, model: str = analysis.DLIB
) -> None:
    """Add images by their first encodings, which `model` made."""
    add(owner_id, Total.counting(encodings), model=model)


def subtract(
    owner_id: int, encodings: Sequence[Sequence[float]], *, model: str = analysis.DLIB
) -> None:
    """Take back what `count` added."""
    add(owner_id, -Total.counting(encodings), model=model)


def add(owner_id: int, total: Total, *, model: str = analysis.DLIB) -> None:
    """Change a counter of a client: part of the transaction that changes its images."""
    if not total:
        return
    with transaction.atomic():
        counters = StatisticsCounter.objects.select_for_update()
        row, is_new = counters.get_or_create(owner_id=owner_id, model=model)
        changed = total if is_new else Total.stored(row) + total
        row.images, row.sums = changed.images, changed.sums.astype("<i8").tobytes()
        row.save()


def delete(owner_id: int) -> None:
    """Delete the counters of a client that has no images any more."""
    StatisticsCounter.objects.filter(owner_id=owner_id).delete()


def models_of(owner_id: int) -> list[str]:
    """The models of a client's counters and encodings."""
    counters = StatisticsCounter.objects.filter(owner_id=owner_id)
    images = EncodedImage.objects.filter(owner_id=owner_id, analysis__isnull=False)
    found = images.order_by().values_list("analysis__model", flat=True).distinct()
    return sorted({*counters.values_list("model", flat=True), *found})


def recompute(owner_id: int, model: str = analysis.DLIB) -> Iterator[tuple[int, Total | None]]:
    """Sum up a client's images: yields how many were read, and at last what the counter lacks.

    Of those that `model` encoded. Counter and images are read at one moment, so images may be added
    and deleted meanwhile.
    """
    with _snapshot():
        lacking, after = -_counted(owner_id, model), 0
        while rows := _next_images(owner_id, model, after):
            encodings = analysis.first_encodings(id for _, id in rows)
            lacking += Total.counting(list(encodings.values()))
            after = rows[-1][0]
            yield len(rows), None
    yield 0, lacking


def _counted(owner_id: int, model: str) -> Total:
    counters = StatisticsCounter.objects.filter(owner_id=owner_id, model=model)
    return Total.stored(counters.first())


def _next_images(owner_id: int, model: str, after: int) -> list[tuple[int, int]]:
    """The next images of a client with a face: their ids, and those of their analyses."""
    images = EncodedImage.objects.filter(owner_id=owner_id, detector="", faces_count__gt=0)
    images = images.filter(analysis__model=model)
    later = images.filter(pk__gt=after).exclude(completed_at=None).order_by("pk")
    rows = later.values_list("pk", "analysis_id")
    return [(pk, id) for pk, id in rows[:_BATCH] if id is not None]


@contextmanager
def _snapshot() -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute(_BEGIN[connection.vendor])
        try:
            yield
        finally:
            cursor.execute("ROLLBACK")
