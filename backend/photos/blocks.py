"""Encodings packed side by side, so that SQLite reads a million of them in a fifth of a second.

One by one they are a million rows and objects; packed they are some hundred blobs that numpy takes
as they are. A block covers the rows whose ids lie between its bounds, and holds all of these; what
no block covers is read from the rows. Triggers of the database delete a block when a row that it
covers is deleted, changed or inserted, in the same transaction and whoever does it: what is
deleted is gone, and a block is never wrong. The sweep packs again what has become many rows.

The table belongs to SQLite alone: on PostgreSQL the distances are computed where the rows are, and
rows moved there must not leave copies of encodings behind. So it is no model of Django's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy
from django.db import DEFAULT_DB_ALIAS, connection, connections, models, transaction

from backend.analysis.fields import read_many
from backend.analysis.nearest import Floats32, Integers, Matrix
from backend.photos.models import PhotoFace, Reference

ROWS: Final = 2048
"""In a block: 1 MB. Larger ones are read no faster, and take longer to write."""

_READ: Final = 8 * ROWS
"""Rows that are read at a time where they are not packed."""

_WORTH_PACKING: Final = 512
"""Rows in one gap between blocks. Fewer are read in half a millisecond."""

_PACKED: Final[tuple[type[models.Model], ...]] = (PhotoFace, Reference)

_TABLE: Final = "photos_encodingblock"

_CREATE: Final = f"""
CREATE TABLE IF NOT EXISTS {_TABLE} (
    id INTEGER PRIMARY KEY,
    rows_of TEXT NOT NULL,
    first_id INTEGER NOT NULL,
    last_id INTEGER NOT NULL,
    ids BLOB NOT NULL,
    encodings BLOB NOT NULL,
    UNIQUE (rows_of, last_id, first_id)
)"""

_DROP_COVERING: Final = f"""
CREATE TRIGGER {{name}} AFTER {{event}} ON {{rows_of}} {{condition}} BEGIN
    DELETE FROM {_TABLE} WHERE first_id <= {{row}}.id AND id = (
        SELECT id FROM {_TABLE} WHERE rows_of = '{{rows_of}}' AND last_id >= {{row}}.id
        ORDER BY last_id LIMIT 1
    );
END"""

_EVENTS: Final = (
    ("inserted", "INSERT", "NEW", ""),
    ("deleted", "DELETE", "OLD", ""),
    ("changed", "UPDATE OF encoding", "OLD", "WHEN NEW.encoding IS NOT OLD.encoding"),
)


class _Block(NamedTuple):
    first_id: int
    last_id: int


def are_kept() -> bool:
    """Whether this database has blocks."""
    return connection.vendor == "sqlite"


def set_up(using: str = DEFAULT_DB_ALIAS) -> None:
    """After each `migrate`: a table that Django rebuilds loses its triggers.

    Blocks that were without triggers for a while may be wrong, and go.
    """
    database = connections[using]
    if database.vendor != "sqlite":
        return
    tables = database.introspection.table_names()
    with transaction.atomic(using=using), database.cursor() as cursor:
        if not all(model._meta.db_table in tables for model in _PACKED):  # migrated back
            cursor.execute(f"DROP TABLE IF EXISTS {_TABLE}")
            return
        cursor.execute(_CREATE)
        wanted = _triggers()
        cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        there = dict(cursor.fetchall())
        if all(there.get(name) == statement for name, statement in wanted.items()):
            return
        cursor.execute(f"DELETE FROM {_TABLE}")
        for name, statement in wanted.items():
            cursor.execute(f"DROP TRIGGER IF EXISTS {name}")
            cursor.execute(statement)


def matrices(model: type[models.Model]) -> Iterator[Matrix]:
    """All encodings of a table, with their rows' ids, some thousand at a time.

    No transaction is held in between. Every row that was committed before the start and is not
    deleted meanwhile is seen: a block holds copies, and to pack rows or to drop a block takes none
    away that lies ahead.
    """
    after = 0
    while (found := _next(model, after)) is not None:
        block, matrix = found
        yield from _rows(model, after, block.first_id)
        yield matrix
        after = block.last_id
    yield from _rows(model, after, None)


def pack() -> int:
    """Pack what lies in many rows; returns how many blocks were written. The sweep's step."""
    return sum(_pack(model) for model in _PACKED) if are_kept() else 0


def _triggers() -> dict[str, str]:
    return {
        (name := f"{model._meta.db_table}_{done}"): _DROP_COVERING.format(
            name=name, event=event, row=row, condition=condition, rows_of=model._meta.db_table
        ).strip()
        for model in _PACKED
        for done, event, row, condition in _EVENTS
    }


def _next(model: type[models.Model], after: int) -> tuple[_Block, Matrix] | None:
    """The first block that ends behind the id `after`."""
    if not are_kept():
        return None
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT first_id, last_id, ids, encodings FROM {_TABLE}"
            " WHERE rows_of = %s AND last_id > %s ORDER BY last_id LIMIT 1",
            [model._meta.db_table, after],
        )
        row = cursor.fetchone()
    if row is None:
        return None
    first_id, last_id, ids, encodings = row
    rows = numpy.frombuffer(encodings, "<f4").reshape(-1, 128)
    return _Block(first_id, last_id), Matrix.of(rows, numpy.frombuffer(ids, "<i8"))


def _rows(model: type[models.Model], after: int, before: int | None) -> Iterator[Matrix]:
    """Of the ids behind `after`, up to `before`."""
    while before is None or after + 1 < before:
        ids, encodings = _read(model, after, before, _READ)
        if not len(ids):
            return
        yield Matrix.of(encodings, ids)
        after = int(ids[-1])


def _read(
    model: type[models.Model], after: int, before: int | None, count: int
) -> tuple[Integers, Floats32]:
    rows = model._default_manager.filter(pk__gt=after, encoding__isnull=False).order_by("pk")
    if before is not None:
        rows = rows.filter(pk__lt=before)
    integers, encodings = read_many(rows[:count], "pk")
    return integers[:, 0], encodings


def _pack(model: type[models.Model]) -> int:
    written = 0
    # Looked for outside of the transaction: to begin one on SQLite keeps every writer waiting.
    while _worth_packing(model) is not None:
        with transaction.atomic():
            gap = _worth_packing(model)
            if gap is not None:
                _write(model, *gap)
                written += 1
    return written


def _worth_packing(model: type[models.Model]) -> tuple[int, int | None] | None:
    """The first gap between blocks, as (after, before), that holds many rows."""
    after = 0
    for block in (*_bounds(model), None):
        before = block.first_id if block else None
        if before is None or before - after > _WORTH_PACKING:
            rows = model._default_manager.filter(pk__gt=after, encoding__isnull=False)
            rows = rows if before is None else rows.filter(pk__lt=before)
            if rows.order_by("pk").values("pk")[_WORTH_PACKING - 1 :].exists():
                return after, before
        after = block.last_id if block else after
    return None


def _bounds(model: type[models.Model]) -> list[_Block]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT first_id, last_id FROM {_TABLE} WHERE rows_of = %s ORDER BY last_id",
            [model._meta.db_table],
        )
        return [_Block(*row) for row in cursor.fetchall()]


def _write(model: type[models.Model], after: int, before: int | None) -> None:
    ids, encodings = _read(model, after, before, ROWS)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {_TABLE} (rows_of, first_id, last_id, ids, encodings)"
            " VALUES (%s, %s, %s, %s, %s)",
            [
                model._meta.db_table,
                # From the block before on, so that nothing is looked for between the two.
                after + 1,
                int(ids[-1]),
                ids.astype("<i8").tobytes(),
                encodings.astype("<f4").tobytes(),
            ],
        )
