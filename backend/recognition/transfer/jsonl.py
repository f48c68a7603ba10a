"""The lines of an exported gallery (docs/galleries.md): read, validated, and written."""

from __future__ import annotations

import base64
import io
import json
import zlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import IO, Any, ClassVar, Final, cast

import numpy
from django.utils import timezone
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from backend.analysis.fields import checked
from backend.common import bounded_json
from backend.common.openapi import MomentField
from backend.recognition.contract import (
    NAME_CHARACTERS,
    URL_CHARACTERS,
    FlagField,
    IntegerField,
    NumberField,
    SubmissionField,
    TextField,
    first_error,
)
from backend.recognition.transfer import line_values
from backend.recognition.transfer.line_values import (
    HASH_CHARACTERS,
    MODEL_CHARACTERS,
    NOTE_CHARACTERS,
    Line,
)

FORMAT: Final = "faces-gallery"
VERSION: Final = 1

_LINE_BYTES: Final = 1 << 16
"""The longest line: a URL of 8192 characters, each escaped, and an encoding fit into it."""

_BLOCK: Final = 1 << 16
_GZIP: Final = 16 + zlib.MAX_WBITS

_MAX_MEMBERS: Final = 10_000
"""Of a gzip file: tools that compress in parallel write one for each 64 kB or more."""

_LINE_VALUES: Final = 64
"""Of one line; a face has 12. A line of 60 kB can hold 10,000 keys, and cost 100 times as much."""


class Unreadable(ValueError):
    """The file cannot be imported; the message names the line."""

    AT: ClassVar = "Line "

    def __init__(self, line: int, message: str) -> None:
        super().__init__(f"{self.AT}{line}: {message}")


class _ZonedMomentField(MomentField):
    def enforce_timezone(self, value: datetime) -> datetime:
        if timezone.is_naive(value):
            self.fail("invalid", format="ISO-8601 with an offset")
        return super().enforce_timezone(value)


class _EncodingField(serializers.Field[Any, Any, Any, Any]):
    default_error_messages = {
        "invalid": "128 to 1024 finite little-endian float32 in base64 are expected."
    }

    def to_internal_value(self, data: Any) -> Any:
        try:
            numbers = numpy.frombuffer(base64.b64decode(data, validate=True), "<f4")
            return checked(numbers, any_size=True)
        except (ValueError, TypeError):
            self.fail("invalid")

    def to_representation(self, value: Any) -> str:
        return base64.b64encode(value.astype("<f4").tobytes()).decode()


class _ContactLine(serializers.Serializer[Any]):
    contact_id = IntegerField()
    name = TextField(max_length=NAME_CHARACTERS, allow_blank=True)


class _FaceLine(serializers.Serializer[Any]):
    id = IntegerField()
    contact_id = IntegerField(source="contact.contact_id")
    face_id = IntegerField()
    face_url = TextField(max_length=URL_CHARACTERS, allow_blank=True)
    external_id = IntegerField(allow_null=True)
    score = NumberField()
    is_face = FlagField()
    encoding = _EncodingField(allow_null=True)
    model = TextField(max_length=MODEL_CHARACTERS, allow_blank=True)
    sha256 = TextField(max_length=HASH_CHARACTERS, allow_blank=True)
    note = TextField(max_length=NOTE_CHARACTERS, allow_blank=True)
    created_at = _ZonedMomentField()

    def validate(self, attrs: Line) -> Line:
        if attrs["is_face"] != (attrs["encoding"] is not None):
            message = "A face has one, and an image without a face has none."
            raise ValidationError({"encoding": [message]})
        return attrs


class _FeedbackLine(serializers.Serializer[Any]):
    answer_id = SubmissionField()
    is_right = FlagField()
    named = IntegerField(source="named.contact_id", allow_null=True)
    is_truth_known = FlagField()
    truth = IntegerField(source="truth.contact_id", allow_null=True)
    confidence = NumberField(min_value=0, max_value=1)
    created_at = _ZonedMomentField()


KINDS: Final[Mapping[str, serializers.Serializer[Any]]] = {
    "contact": _ContactLine(),
    "face": _FaceLine(),
    "feedback": _FeedbackLine(),
}
"""Of lines, in the order in which they stand between the first and the last."""


def lines(file: IO[bytes], *, max_bytes: int) -> Iterator[tuple[int, str, Line]]:
    """Number, kind and values of each line between the first and the end.

    Raises `Unreadable`, also for a file of more than `max_bytes` when it is decompressed.
    """
    counts, kinds = dict.fromkeys(KINDS, 0), list(KINDS)
    for number, line in _objects(file, max_bytes):
        if number == 1:
            _check_head(line)
            continue
        if "end" in line:
            if line["end"] != counts:
                raise Unreadable(number, "The file is not complete: its end has other counts.")
            return
        kind, content = next(iter(line.items())) if len(line) == 1 else ("", None)
        if kind not in kinds:
            raise Unreadable(number, "A contact, a face, feedback or the end is expected.")
        kinds = kinds[kinds.index(kind) :]
        yield number, kind, _values(number, kind, content)
        counts[kind] += 1
    raise Unreadable(1, "The file is not complete: it has no end.")


def write_line(file: IO[bytes], line: Line) -> None:
    file.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")


def _values(number: int, kind: str, content: Any) -> Line:
    values = line_values.values(kind, content)
    if values is None:
        raise Unreadable(number, _what_is_wrong(kind, content))
    return values


def _what_is_wrong(kind: str, content: Any) -> str:
    try:
        KINDS[kind].run_validation(content)
    except ValidationError as error:
        ((field, (message,)),) = first_error(error.detail, kind).items()
        return f"{field}: {message}"
    return "Its values are not as the format has them."


def _objects(file: IO[bytes], max_bytes: int) -> Iterator[tuple[int, Line]]:
    number, left_bytes = 0, max_bytes
    try:
        for number, raw in enumerate(_split(file), 1):
            left_bytes -= len(raw)
            if len(raw) > _LINE_BYTES:
                raise Unreadable(number, f"It is longer than {_LINE_BYTES} bytes.")
            if left_bytes < 0:
                raise Unreadable(number, f"The lines have more than {max_bytes} bytes.")
            line = bounded_json.loads(raw, max_values=_LINE_VALUES)
            if not isinstance(line, dict):
                raise Unreadable(number, "A JSON object is expected.")
            yield number, line
    except (EOFError, OSError, zlib.error) as error:
        raise Unreadable(number + 1, "The compressed file is damaged.") from error
    except Unreadable:
        raise
    except bounded_json.TooMuch as error:
        raise Unreadable(number, f"It has more than {_LINE_VALUES} values.") from error
    except ValueError as error:
        raise Unreadable(number, "It is no JSON.") from error


def _split(file: IO[bytes]) -> Iterator[bytes]:
    lines = plain(file)
    while raw := lines.readline(_LINE_BYTES + 1):
        yield raw


def plain(file: IO[bytes]) -> IO[bytes]:
    """The file from its start, decompressed where it is gzip.

    Reading raises `zlib.error` or `EOFError` where that is damaged.
    """
    file.seek(0)
    is_compressed = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    return cast(IO[bytes], io.BufferedReader(_Inflated(file), _BLOCK)) if is_compressed else file


class _Inflated(io.RawIOBase):
    """The content of a gzip file (RFC 1952): of one member or few.

    Python's `GzipFile` reads a name in the header byte by byte, and any number of empty members:
    a file of 100 MB of either takes a minute.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._data = b""
        self._inflater = zlib.decompressobj(_GZIP)
        self._members = 1

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while True:
            if self._inflater.eof and not self._begin_next():
                return 0
            self._data = self._data or self._file.read(_BLOCK)
            if not self._data:
                raise EOFError
            inflated = self._inflater.decompress(self._data, len(buffer))
            self._data = self._inflater.unconsumed_tail
            if inflated:
                buffer[: len(inflated)] = inflated
                return len(inflated)

    def _begin_next(self) -> bool:
        """Whether another member follows; zeros behind the last one are ignored, as gzip does."""
        self._data = (self._inflater.unused_data + self._data) or self._file.read(_BLOCK)
        if not self._data.strip(b"\0"):
            return False
        self._members += 1
        if self._members > _MAX_MEMBERS:
            raise zlib.error(f"more than {_MAX_MEMBERS} members")
        self._inflater = zlib.decompressobj(_GZIP)
        return True


def _check_head(line: Mapping[str, Any]) -> None:
    if line.get("format") != FORMAT:
        raise Unreadable(1, "This is no exported gallery.")
    if line.get("version") != VERSION:
        raise Unreadable(1, f"Only version {VERSION} of the format is known here.")
