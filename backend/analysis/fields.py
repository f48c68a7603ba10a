"""An encoding as one column."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy
import psycopg
from django.core.exceptions import EmptyResultSet
from django.db import connections, models
from django.db.backends.base.base import BaseDatabaseWrapper
from numpy.typing import ArrayLike, NDArray

DIMENSIONS: Final = 128
ENCODING_BYTES: Final = DIMENSIONS * 4

Encoding = NDArray[numpy.float32]
"""Shape (128,), float32, read-only."""

_SENT: Final = numpy.dtype([("dimensions", ">u2"), ("unused", ">u2"), ("row", ">f4", DIMENSIONS)])
"""How pgvector sends a vector of 128 (`vector_send` in its source)."""

_FETCHED: Final = 2000
"""Rows at a time, each an object until its numbers are with the others."""


if TYPE_CHECKING:
    _Field = models.Field[ArrayLike, Encoding]
else:  # Django's class takes no types in brackets
    _Field = models.Field


class EncodingField(_Field):
    """128 float32: bytes (little-endian) on SQLite, `vector(128)` of pgvector on PostgreSQL.

    Read, it is a read-only array of shape (128,) on both. Written, it is anything that numpy makes
    128 finite numbers of; else it is a `ValueError`.
    """

    description = "128 float32"
    empty_strings_allowed = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "editable": False})
        # An array cannot be compared with "" or [].
        self.empty_values = []

    def deconstruct(self) -> tuple[str, str, Any, dict[str, Any]]:
        name, path, args, kwargs = super().deconstruct()
        del kwargs["editable"]
        return name, path, args, kwargs

    def db_type(self, connection: BaseDatabaseWrapper) -> str:
        return f"vector({DIMENSIONS})" if connection.vendor == "postgresql" else "BLOB"

    def db_check(self, connection: BaseDatabaseWrapper) -> str | None:
        # pgvector knows the length of its type.
        if connection.vendor == "postgresql":
            return None
        return f"length({connection.ops.quote_name(self.column or '')}) = {ENCODING_BYTES}"

    def from_db_value(
        self, value: Any, expression: Any, connection: BaseDatabaseWrapper
    ) -> Encoding | None:
        return None if value is None else self.to_python(value)

    def to_python(self, value: Any) -> Encoding:
        if isinstance(value, str):
            return _of_text(value)
        if isinstance(value, bytes | bytearray | memoryview):
            return checked(numpy.frombuffer(value, "<f4"))
        return checked(value)

    def get_db_prep_value(
        self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False
    ) -> Any:
        if value is None or hasattr(value, "as_sql"):
            return value
        numbers = self.to_python(value)
        if connection.vendor == "postgresql":
            # Numbers in full, so that each float32 comes back to the last bit.
            return f"[{','.join(map(repr, numbers.tolist()))}]"
        return numbers.astype("<f4").tobytes()

    def value_to_string(self, obj: models.Model) -> str:
        encoding: Encoding = self.value_from_object(obj)
        return base64.b64encode(encoding.astype("<f4").tobytes()).decode()


def checked(numbers: ArrayLike) -> Encoding:
    """`numbers` as an encoding. Raises `ValueError` if they are not 128 finite float32."""
    with numpy.errstate(over="ignore"):  # too large a number becomes infinite, and is refused
        array = numpy.array(numbers, numpy.float32)
    if array.shape != (DIMENSIONS,):
        raise ValueError(f"an encoding has {DIMENSIONS} numbers, not the shape {array.shape}")
    if not numpy.isfinite(array).all():
        raise ValueError("an encoding holds a number that is not finite")
    array.flags.writeable = False
    return array


def read_many(
    rows: models.QuerySet[Any, Any], *names: str, encoding: str = "encoding"
) -> tuple[NDArray[numpy.int64], NDArray[numpy.float32]]:
    """The fields `names`, all whole numbers, as (n, len(names)), and the encodings as (n, 128).

    One statement, and no object for each number: 10⁵ rows take 0.2 s where 128 numbers each would
    take ten times as long. Rows without an encoding are left out.
    """
    integers, encodings = [numpy.empty((0, len(names)), "i8")], [numpy.empty((0, DIMENSIONS), "f4")]
    connection = connections[rows.db]
    if not rows.query.is_sliced:  # a slice has to leave them out itself
        rows = rows.filter(**{f"{encoding}__isnull": False})
    there = rows.values_list(*names, encoding)
    for block in _fetched(there, connection):
        *columns, encoded = zip(*block, strict=True)
        joined, numbers = b"".join(encoded), numpy.array(columns, "i8").reshape(len(names), -1).T
        sent = connection.vendor == "postgresql"
        read = numpy.frombuffer(joined, _SENT)["row"] if sent else numpy.frombuffer(joined, "<f4")
        integers.append(numbers)
        encodings.append(read.reshape(-1, DIMENSIONS).astype("f4"))
    return numpy.concatenate(integers), numpy.concatenate(encodings)


def _fetched(
    rows: models.QuerySet[Any, Any], connection: BaseDatabaseWrapper
) -> Iterator[Sequence[tuple[Any, ...]]]:
    """Blocks of rows as the driver gives them: an encoding is bytes, on PostgreSQL `_SENT`."""
    try:
        statement, parameters = rows.query.get_compiler(connection=connection).as_sql()
    except EmptyResultSet:
        return
    with connection.wrap_database_errors, connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # Django's cursor puts the parameters into the text, and such an answer is text too.
            with psycopg.Cursor(connection.connection) as plain:
                plain.execute(statement, parameters, binary=True)
                while block := plain.fetchmany(_FETCHED):
                    yield block
            return
        cursor.execute(statement, parameters)
        while block := cursor.fetchmany(_FETCHED):
            yield block


def _of_text(text: str) -> Encoding:
    """pgvector's `[0.1,…]`, or what `value_to_string` wrote."""
    if text.startswith("["):
        return checked([float(number) for number in text[1:-1].split(",")])
    return checked(numpy.frombuffer(base64.b64decode(text), "<f4"))
