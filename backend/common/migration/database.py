"""The migration of all rows from SQLite to PostgreSQL, verified row by row.

Everything, tables included, happens in one transaction of the target: after a failure it is as
empty as before. The source is locked against writing meanwhile and is not changed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import redis
from django.apps import apps
from django.core.management import call_command
from django.core.management.color import no_style
from django.db import DatabaseError, connections, models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from backend.common.jobs import workers
from backend.common.jobs.models import Job, Status

Model = type[models.Model]

_BATCH: Final = 2000

_ALL: Final = 2**256


class NotMovable(Exception):
    """The move cannot be made now; nothing was changed."""


@dataclass
class Sum:
    """The number of rows, and a checksum of their contents that does not depend on their order."""

    rows: int = 0
    checksum: int = 0

    def add(self, row: tuple[Any, ...]) -> None:
        digest = hashlib.sha256(repr([_plain(value) for value in row]).encode()).digest()
        self.rows += 1
        self.checksum = (self.checksum + int.from_bytes(digest)) % _ALL

    def __str__(self) -> str:
        return f"{self.rows} rows, {self.checksum:064x}"


Progress = Callable[[int], object]
"""Called with the number of rows since the last call, first as copied, then as verified."""


def tables() -> list[Model]:
    """Every table that holds rows of ours or of a library."""
    every = apps.get_models(include_auto_created=True)
    return [model for model in every if model._meta.managed and not model._meta.proxy]


def refuse_unless_at_rest(source: str) -> None:
    """Raises `NotMovable` while a process may still write to the database `source`."""
    connection = connections[source]
    if connection.vendor != "sqlite":
        raise NotMovable("The service is not on SQLite: DATABASE_URL is set already.")
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise NotMovable("The database is of an older version. Run `manage.py migrate` first.")
    if holders := _processes_with(Path(str(connection.settings_dict["NAME"]))):
        numbers = ", ".join(map(str, holders))
        raise NotMovable(f"Processes {numbers} have the database open. Stop the service first.")
    if workers := _living_workers():
        raise NotMovable(
            f"{workers} workers run, or died within the minute. Stop the service first."
        )
    for model in tables():
        if issubclass(model, Job):
            _refuse_if_in_work(model, source)


def move(source: str, target: str, *, progress: Progress) -> dict[Model, Sum]:
    """Copy every row, and read all of them back. Raises `NotMovable` or `DatabaseError`."""
    with ExitStack() as stack:
        # On SQLite this takes the lock of writers.
        stack.enter_context(transaction.atomic(source))
        stack.enter_context(transaction.atomic(target))
        _refuse_if_used(connections[target])
        call_command("migrate", database=target, interactive=False, verbosity=0)
        _empty(connections[target])
        _check_references_later(connections[target])
        sums = {model: _copy(model, source, target, progress) for model in tables()}
        _reset_sequences(connections[target])
        _count_on(connections[source], connections[target])
        for model, copied in sums.items():
            if (read := _sum(model, target, progress)) != copied:
                table = model._meta.db_table
                raise NotMovable(f"{table} was copied as {copied}, but holds {read}.")
    return sums


def count(source: str) -> int:
    """How many rows there are in all."""
    return sum(model._base_manager.using(source).count() for model in tables())


def _refuse_if_used(connection: BaseDatabaseWrapper) -> None:
    ours = {model._meta.db_table for model in tables()}
    if used := ours & set(connection.introspection.table_names()):
        raise NotMovable(f"The target is not empty, it has the table {min(used)}. Make a new one.")


def _refuse_if_in_work(model: type[Job], source: str) -> None:
    now = timezone.now()
    for work in model._default_manager.using(source).filter(status=Status.PROCESSING):
        if not work.is_lost(now):
            raise NotMovable(
                f"{model._meta.verbose_name} {work.pk} is in work until {work.claimed_until}. "
                "Stop the service first."
            )


def _living_workers() -> int:
    try:
        return len(workers.living())
    except redis.RedisError:  # no queue, no workers; the open files show other processes
        return 0


def _processes_with(file: Path) -> list[int]:
    """Other processes of this machine that have `file` open, as far as can be seen."""
    found, path = set(), str(file.resolve())
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if str(link.readlink()) == path:
                found.add(int(link.parts[2]))
        except OSError:  # it has ended, or belongs to another user
            continue
    return sorted(found - {int(Path("/proc/self").readlink().name)})


def _empty(connection: BaseDatabaseWrapper) -> None:
    """Delete the rows that `migrate` made: the source has them too, under its own numbers."""
    with connection.cursor() as cursor:
        for model in tables():
            cursor.execute(f"DELETE FROM {connection.ops.quote_name(model._meta.db_table)}")


def _check_references_later(connection: BaseDatabaseWrapper) -> None:
    """Check foreign keys at the commit, because two tables may refer to each other.

    They are declared so, but `migrate` makes some immediate for the rest of the transaction.
    """
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")


def _copy(model: Model, source: str, target: str, progress: Progress) -> Sum:
    connection, fields, copied = connections[target], model._meta.local_concrete_fields, Sum()
    quote = connection.ops.quote_name
    columns = ", ".join(quote(field.column or "") for field in fields)
    statement = f"COPY {quote(model._meta.db_table)} ({columns}) FROM STDIN"
    try:
        with (
            connection.wrap_database_errors,
            connection.cursor() as cursor,
            cursor.copy(statement) as copy,
        ):
            for row in _rows(model, source):
                pairs = zip(fields, row, strict=True)
                copy.write_row([field.get_db_prep_save(each, connection) for field, each in pairs])
                copied.add(row)
                progress(1)
    except (DatabaseError, ValueError) as error:
        raise NotMovable(f"{model._meta.db_table} cannot be copied: {error}") from error
    return copied


def _sum(model: Model, alias: str, progress: Progress) -> Sum:
    read = Sum()
    for row in _rows(model, alias):
        read.add(row)
        progress(1)
    return read


def _rows(model: Model, alias: str) -> Iterator[tuple[Any, ...]]:
    names = [field.attname for field in model._meta.local_concrete_fields]
    rows = model._base_manager.using(alias).order_by().values_list(*names)
    return rows.iterator(chunk_size=_BATCH)


def _reset_sequences(connection: BaseDatabaseWrapper) -> None:
    """Let the next row get an unused number."""
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), tables()):
            cursor.execute(statement)


def _count_on(source: BaseDatabaseWrapper, target: BaseDatabaseWrapper) -> None:
    """Nor that of a deleted row: some numbers are promised to be used once."""
    with source.cursor() as cursor:
        cursor.execute("SELECT name, seq FROM sqlite_sequence WHERE seq > 0")
        last = dict(cursor.fetchall())
    with target.cursor() as cursor:
        for model in tables():
            table, key = model._meta.db_table, model._meta.pk
            if key is not None and table in last:
                arguments = [table, key.column, last[table]]
                cursor.execute("SELECT setval(pg_get_serial_sequence(%s, %s), %s)", arguments)


def _plain(value: Any) -> Any:
    """`value` in the same form, whichever database it comes from."""
    if isinstance(value, datetime):
        return value.isoformat()
    if hasattr(value, "tobytes"):  # an encoding, or bytes as PostgreSQL gives them
        return value.tobytes()
    if isinstance(value, dict | list):
        return _plain_json(value)
    return value


def _plain_json(value: Any) -> str:
    """PostgreSQL keeps neither the order of keys nor the sign of a zero."""
    numbers = json.loads(json.dumps(value), parse_float=lambda text: float(text) + 0.0)
    return json.dumps(numbers, sort_keys=True)
