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

MOST_DIMENSIONS: Final = 1024

INDEXED_DIMENSIONS: Final = (128, 512)
"""Of the encodings of which PostgreSQL has an index of nearest neighbours: those of the models in
use (docs/models.md). Others are compared one by one."""

Encoding = NDArray[numpy.float32]
"""Shape (n,), float32, read-only: n is 128, or 128 to 1,024 of a column of any size."""

_SENT_HEAD: Final = 4
"""Bytes in front of the numbers of a vector that pgvector sends: two of its size, two unused
(`vector_send` in its source)."""

_FETCHED: Final = 2000
"""Rows at a time, each an object until its numbers are with the others."""


if TYPE_CHECKING:
    _Field = models.Field[ArrayLike, Encoding]
else:  # Django's class takes no types in brackets
    _Field = models.Field


class EncodingField(_Field):
    """Float32: bytes (little-endian) on SQLite, `vector` of pgvector on PostgreSQL.

    128 of them, or with `any_size` 128 to 1,024. Read, it is a read-only array on both. Written, it
    is anything that numpy makes as many finite numbers of; else it is a `ValueError`.
    """

    description = "float32"
    empty_strings_allowed = False

    def __init__(self, *args: Any, any_size: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "editable": False})
        self.any_size = any_size
        # An array cannot be compared with "" or [].
        self.empty_values = []

    def deconstruct(self) -> tuple[str, str, Any, dict[str, Any]]:
        name, path, args, kwargs = super().deconstruct()
        del kwargs["editable"]
        if self.any_size:
            kwargs["any_size"] = True
        return name, path, args, kwargs

    def db_type(self, connection: BaseDatabaseWrapper) -> str:
        if connection.vendor != "postgresql":
            return "BLOB"
        return "vector" if self.any_size else f"vector({DIMENSIONS})"

    def db_check(self, connection: BaseDatabaseWrapper) -> str | None:
        column = connection.ops.quote_name(self.column or "")
        between = f"BETWEEN {DIMENSIONS} AND {MOST_DIMENSIONS}"
        if connection.vendor == "postgresql":
            # pgvector knows the length of its type, if it has one.
            return f"vector_dims({column}) {between}" if self.any_size else None
        if self.any_size:
            return f"length({column}) % 4 = 0 AND length({column}) / 4 {between}"
        return f"length({column}) = {ENCODING_BYTES}"

    def from_db_value(
        self, value: Any, expression: Any, connection: BaseDatabaseWrapper
    ) -> Encoding | None:
        return None if value is None else self.to_python(value)

    def to_python(self, value: Any) -> Encoding:
        if isinstance(value, str):
            value = _of_text(value)
        if isinstance(value, bytes | bytearray | memoryview):
            value = numpy.frombuffer(value, "<f4")
        return checked(value, any_size=self.any_size)

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


def checked(numbers: ArrayLike, *, any_size: bool = False) -> Encoding:
    """`numbers` as an encoding. Raises `ValueError` if they are not 128 finite float32.

    Of `any_size`: 128 to 1,024.
    """
    with numpy.errstate(over="ignore"):  # too large a number becomes infinite, and is refused
        array = numpy.array(numbers, numpy.float32)
    most = MOST_DIMENSIONS if any_size else DIMENSIONS
    if array.ndim != 1 or not DIMENSIONS <= array.size <= most:
        wanted = f"{DIMENSIONS} to {most}" if any_size else f"{DIMENSIONS}"
        raise ValueError(f"an encoding has {wanted} numbers, not the shape {array.shape}")
    if not numpy.isfinite(array).all():
        raise ValueError("an encoding holds a number that is not finite")
    array.flags.writeable = False
    return array


def read_many(
    rows: models.QuerySet[Any, Any], *names: str, encoding: str = "encoding"
) -> tuple[NDArray[numpy.int64], NDArray[numpy.float32]]:
    """The fields `names`, all whole numbers, as (n, len(names)), and the encodings as (n, m).

    All have the same size m (128 of no rows), because the rows are of one model: else it is a
    `ValueError`. One statement, and no object for each number: 10⁵ rows take 0.2 s where 128
    numbers each would take ten times as long. Rows without an encoding are left out.
    """
    integers, encodings = [numpy.empty((0, len(names)), "i8")], list[NDArray[numpy.float32]]()
    connection = connections[rows.db]
    if not rows.query.is_sliced:  # a slice has to leave them out itself
        rows = rows.filter(**{f"{encoding}__isnull": False})
    there = rows.values_list(*names, encoding)
    for block in _fetched(there, connection):
        *columns, encoded = zip(*block, strict=True)
        integers.append(numpy.array(columns, "i8").reshape(len(names), -1).T)
        encodings.append(_rows(encoded, is_sent=connection.vendor == "postgresql"))
    return numpy.concatenate(integers), _together(encodings)


def _rows(encoded: Sequence[bytes], *, is_sent: bool) -> NDArray[numpy.float32]:
    """The encodings of a block: bytes as SQLite has them, or as PostgreSQL sends them."""
    sizes = set(map(len, encoded))
    if len(sizes) != 1:
        raise ValueError("encodings of several models cannot be compared")
    head = _SENT_HEAD if is_sent else 0
    row = [("head", "V", head), ("numbers", ">f4" if is_sent else "<f4", (sizes.pop() - head) // 4)]
    return numpy.frombuffer(b"".join(encoded), numpy.dtype(row))["numbers"].astype("f4")


def _together(blocks: Sequence[NDArray[numpy.float32]]) -> NDArray[numpy.float32]:
    if len({block.shape[1] for block in blocks}) > 1:
        raise ValueError("encodings of several models cannot be compared")
    return numpy.concatenate(blocks) if blocks else numpy.empty((0, DIMENSIONS), "f4")


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


def _of_text(text: str) -> Any:
    """The numbers of pgvector's `[0.1,…]`, or the bytes that `value_to_string` wrote."""
    if text.startswith("["):
        return [float(number) for number in text[1:-1].split(",")]
    return base64.b64decode(text)


def distance_sql(dimensions: int) -> str:
    """PostgreSQL's distance of a column `encoding` of any size from `%(probe)s`, for its index.

    Of rows with as many numbers alone: a condition on the model has to stand before it.
    """
    return f"(encoding::vector({dimensions})) <-> %(probe)s::vector({dimensions})"
