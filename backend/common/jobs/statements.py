"""The statements of the job path, written out: each changes one row and reads it.

Django's ORM has no `UPDATE … RETURNING`, and takes up to 1 ms to compile a statement, which made
a quarter of a small image's job. SQLite has `RETURNING` since 3.35 (2021).
"""

from collections.abc import Mapping, Sequence
from functools import cache
from itertools import chain
from typing import Any, Final, TypeVar

from django.db import connection, connections
from django.db.models import AutoField, Field, Model
from django.db.models.sql import Query

M = TypeVar("M", bound=Model)

_UPDATE: Final = "UPDATE {table} SET {values} WHERE {where}"
_INSERT: Final = (
    "INSERT INTO {table} ({names}) VALUES ({values}) ON CONFLICT DO NOTHING RETURNING {columns}"
)

_INSERT_MANY: Final = "INSERT INTO {table} ({names}) VALUES {values} RETURNING {id}"


_MAX_VALUES: Final = 32_766
"""Of a statement: SQLite takes no more."""


def update(model: type[M], where: Mapping[str, Any], values: Mapping[str, Any]) -> M | None:
    """Set `values` in the one row whose columns are as in `where`; the row as it is then."""
    statement = f"{_update(model, tuple(where), tuple(values))} RETURNING {names(model)['columns']}"
    return returned(model, statement, [*prepared(model, values), *prepared(model, where)])


def change(model: type[Model], where: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    """As `update`; whether there was the row, which is not read."""
    statement = _update(model, tuple(where), tuple(values))
    with connection.cursor() as cursor:
        cursor.execute(statement, [*prepared(model, values), *prepared(model, where)])
        return bool(cursor.rowcount)


@cache
def _update(model: type[Model], where: tuple[str, ...], values: tuple[str, ...]) -> str:
    return _UPDATE.format(
        **names(model),
        values=", ".join(f"{column(model, name)} = %s" for name in values),
        where=" AND ".join(f"{column(model, name)} = %s" for name in where),
    )


def insert(row: M) -> M | None:
    """Insert `row`, whose key the database makes, and read it; None if it breaks a constraint that
    makes rows unique."""
    model = type(row)
    fields = [field for field in model._meta.concrete_fields if not field.primary_key]
    values = {field.attname: field.pre_save(row, add=True) for field in fields}
    statement = _INSERT.format(
        **names(model),
        names=", ".join(column(model, name) for name in values),
        values=", ".join("%s" for _ in values),
    )
    return returned(model, statement, prepared(model, values))


def insert_many(model: type[Model], rows: Sequence[Mapping[str, Any]]) -> list[int]:
    """Insert `rows`, all with the same columns, and return their keys in order.

    As `bulk_create`, which relies on the order of `RETURNING` too, but without an instance for
    each row, which takes three quarters of its time. At most `_MAX_VALUES` in all.
    """
    if not rows:
        return []
    each = f"({', '.join('%s' for _ in rows[0])})"
    statement = _INSERT_MANY.format(
        **names(model),
        names=", ".join(column(model, name) for name in rows[0]),
        values=", ".join([each] * len(rows)),
    )
    columns = [_prepared_column(model, name, [row[name] for row in rows]) for name in rows[0]]
    with connection.cursor() as cursor:
        cursor.execute(statement, list(chain.from_iterable(zip(*columns, strict=True))))
        return [key for (key,) in cursor.fetchall()]


def create_many(rows: Sequence[Model]) -> None:
    """Insert `rows`, which are of one model and new, and set the keys that the database makes.

    Raises `IntegrityError`. As `bulk_create`, without signals.
    """
    if not rows:
        return
    every = rows[0]._meta.concrete_fields
    fields = [field.attname for field in every if not isinstance(field, AutoField)]
    values = [{name: getattr(row, name) for name in fields} for row in rows]
    at_once = _MAX_VALUES // len(fields)
    blocks = (values[start : start + at_once] for start in range(0, len(rows), at_once))
    keys = [key for block in blocks for key in insert_many(type(rows[0]), block)]
    for row, key in zip(rows, keys, strict=True):
        if isinstance(row._meta.pk, AutoField):
            row.pk = key  # another one is there, and comes back as the database has it
        row._state.adding, row._state.db = False, connection.alias


def returned(model: type[M], statement: str, parameters: list[Any]) -> M | None:
    """Run `statement`, which returns one row of `model` in the columns of `names`, or none."""
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        # To the end: SQLite commits a statement when its last row is read.
        rows = cursor.fetchall()
    return _made(model, list(rows[0])) if rows else None


def is_there(statement: str, parameters: list[Any]) -> bool:
    """Whether `statement` returns a row."""
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchone() is not None


def prepared(model: type[Model], values: Mapping[str, Any]) -> list[Any]:
    """`values` of columns of `model` as the database takes them."""
    itself = connections[connection.alias]  # a proxy would be asked twice for each
    return [_field(model, name).get_db_prep_save(value, itself) for name, value in values.items()]


def _prepared_column(model: type[Model], name: str, values: list[Any]) -> list[Any]:
    prepare, itself = _field(model, name).get_db_prep_save, connections[connection.alias]
    return [prepare(value, itself) for value in values]


@cache
def names(model: type[Model]) -> dict[str, str]:
    """The quoted names in a statement: its `table`, its key `id`, all its `columns`."""
    fields = [column(model, field.attname) for field in model._meta.concrete_fields]
    table = connection.ops.quote_name(model._meta.db_table)
    return {"table": table, "id": column(model, "pk"), "columns": ", ".join(fields)}


@cache
def column(model: type[Model], name: str) -> str:
    """The quoted name of a field's column; `pk` is the key's."""
    return str(connection.ops.quote_name(_field(model, name).column or ""))


@cache
def _field(model: type[Model], name: str) -> "Field[Any, Any]":
    field = model._meta.pk if name == "pk" else model._meta.get_field(name)
    assert isinstance(field, Field)
    return field


def _made(model: type[M], values: list[Any]) -> M:
    for place, (converters, expression) in _converters(model).items():
        for convert in converters:
            values[place] = convert(values[place], expression, connection)
    fields = [field.attname for field in model._meta.concrete_fields]
    return model.from_db(connection.alias, fields, values)


@cache
def _converters(model: type[Model]) -> Any:
    """By place in the row: what makes Python's values of the database's, as for every query."""
    table = model._meta.db_table
    compiler = Query(model).get_compiler(connection=connection)
    return compiler.get_converters([f.get_col(table) for f in model._meta.concrete_fields])
