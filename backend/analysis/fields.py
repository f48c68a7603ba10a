"""An encoding as one column."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final

import numpy
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from numpy.typing import ArrayLike, NDArray

DIMENSIONS: Final = 128
ENCODING_BYTES: Final = DIMENSIONS * 4

Encoding = NDArray[numpy.float32]
"""Shape (128,), float32, read-only."""


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
    with numpy.errstate(over="ignore"):  # what is too large becomes infinite, and is refused
        array = numpy.array(numbers, numpy.float32)
    if array.shape != (DIMENSIONS,):
        raise ValueError(f"an encoding has {DIMENSIONS} numbers, not the shape {array.shape}")
    if not numpy.isfinite(array).all():
        raise ValueError("an encoding holds a number that is not finite")
    array.flags.writeable = False
    return array


def _of_text(text: str) -> Encoding:
    """pgvector's `[0.1,…]`, or what `value_to_string` wrote."""
    if text.startswith("["):
        return checked([float(number) for number in text[1:-1].split(",")])
    return checked(numpy.frombuffer(base64.b64decode(text), "<f4"))
