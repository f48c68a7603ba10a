"""Range search: every stored encoding within a distance of some probes, exactly.

SQLite reads all rows and compares them by matrix products, which is measured up to 10⁵ faces.
PostgreSQL compares in the database, in float32 and up to a slightly larger distance, and its
candidates are compared again in float64. No nearest-neighbour index is used, because those are
approximate and would miss photos.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Final, NamedTuple

from django.db import connection, models, transaction

from backend.analysis.fields import EncodingField, read_many
from backend.analysis.nearest import Floats32, Matrix

_FURTHER: Final = 1 + 1e-5
"""pgvector sums 128 squared differences in float32; a distance is off by up to 4e-6 of it."""

_FEW: Final = 32
"""Probes. PostgreSQL compares a probe with a row in 0.07 µs, and sends a row in 1.7 µs."""

_AT_A_TIME: Final = 500
"""Ids in one statement."""

_BATCH: Final = 16_384
"""Rows read and compared at a time: 8 MB of encodings."""


class Neighbour(NamedTuple):
    """A row near a probe: the probe's position, the row's id, the distance in float64."""

    probe: int
    id: int
    distance: float


def within_distance(
    probes: Floats32, model: type[models.Model], *, below: float
) -> list[Neighbour]:
    """The rows of `model` whose `encoding` is nearer than `below` to one of the (m, 128) `probes`.

    Sorted by probe, then by distance. Every row that was committed before the call is seen; rows
    deleted during the call may still be returned.
    """
    if not len(probes):
        return []
    in_database = connection.vendor == "postgresql" and len(probes) <= _FEW
    found = (
        _by_database(probes, model, below) if in_database else _by_matrices(probes, model, below)
    )
    return sorted(found, key=lambda each: (each.probe, each.distance, each.id))


def _by_matrices(probes: Floats32, model: type[models.Model], below: float) -> Iterator[Neighbour]:
    """Batches follow the primary key, so no transaction is held and no row is read twice."""
    last = 0
    while True:
        rows = model._default_manager.filter(pk__gt=last, encoding__isnull=False).order_by("pk")
        integers, encodings = read_many(rows[:_BATCH], "pk")
        if not len(integers):
            return
        ids = integers[:, 0]
        yield from _exactly(probes, Matrix.of(encodings, ids), below)
        last = int(ids[-1])


def _by_database(probes: Floats32, model: type[models.Model], below: float) -> Iterator[Neighbour]:
    ids = _ids_near(probes, model, below)
    for start in range(0, len(ids), _AT_A_TIME):
        rows = model._default_manager.filter(pk__in=ids[start : start + _AT_A_TIME])
        integers, encodings = read_many(rows.order_by(), "pk")
        yield from _exactly(probes, Matrix.of(encodings, integers[:, 0]), below)


def _exactly(probes: Floats32, matrix: Matrix, below: float) -> Iterator[Neighbour]:
    for pair in matrix.within(probes, below):
        if pair[2] < below:
            yield Neighbour(*pair)


def _ids_near(probes: Floats32, model: type[models.Model], below: float) -> list[int]:
    """The rows near one of the probes, or slightly farther."""
    field = EncodingField()
    table = connection.ops.quote_name(model._meta.db_table)
    # One condition with all probes: joining them as rows takes half as long again.
    near = " OR ".join(["encoding <-> %s::vector <= %s"] * len(probes))
    parameters: list[Any] = []
    for probe in probes:
        parameters += [field.get_db_prep_value(probe, connection), below * _FURTHER]
    parallel: AbstractContextManager[None] = nullcontext()
    if len(probes) == 1:
        parallel = _several_processes()
    with parallel, connection.cursor() as cursor:
        cursor.execute(f"SELECT id FROM {table} WHERE {near}", parameters)
        return [id for (id,) in cursor.fetchall()]


@contextmanager
def _several_processes() -> Iterator[None]:
    """For one probe beside all faces: let PostgreSQL use parallel workers.

    It estimates that every third row is near, and that sending so many between workers costs more
    than it gains; `parallel_tuple_cost = 0` corrects that.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL parallel_tuple_cost = 0")
        yield
