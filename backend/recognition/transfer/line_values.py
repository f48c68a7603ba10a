"""The values of a line, by the rules of its serializer (`jsonl.KINDS`) at a tenth of its cost.

A file of 100 MB has hundreds of thousands of lines. What these functions refuse, the serializer
looks at again, for its sentence.
"""

from __future__ import annotations

import binascii
import math
import re
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import numpy
from django.utils.dateparse import parse_datetime

from backend.analysis.fields import DIMENSIONS, MOST_DIMENSIONS
from backend.recognition.contract import INTEGERS, NAME_CHARACTERS, URL_CHARACTERS

Line = dict[str, Any]
_Value = Callable[[Any], Any]

_SURROGATES: Final = re.compile("[\ud800-\udfff]")

MODEL_CHARACTERS: Final = 64
HASH_CHARACTERS: Final = 64
NOTE_CHARACTERS: Final = 200


def values(kind: str, content: Any) -> Line | None:
    """The values of a line of that kind by their names, or None where one is not valid."""
    try:
        line = {name: value(content[name]) for name, value in _VALUES[kind].items()}
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    if kind == "face" and line["is_face"] != (line["encoding"] is not None):
        return None
    return line


def _check(is_valid: bool) -> None:
    if not is_valid:
        raise ValueError


def _integer(value: Any) -> int:
    _check(type(value) is int and value in INTEGERS)
    return int(value)


def _flag(value: Any) -> bool:
    _check(type(value) is bool)
    return bool(value)


def _number(value: Any) -> float:
    _check(type(value) in (int, float) and math.isfinite(value))
    return float(value)


def _share(value: Any) -> float:
    _check(0 <= _number(value) <= 1)
    return float(value)


def _text(most: int) -> _Value:
    def text(value: Any) -> str:
        _check(type(value) is str and len(value) <= most and "\0" not in value)
        _check(value.isascii() or not _SURROGATES.search(value))
        return str(value)

    return text


def _moment(value: Any) -> datetime:
    _check(type(value) is str)
    moment = parse_datetime(value)
    if moment is None or moment.tzinfo is None:
        raise ValueError
    return moment.astimezone(UTC)


def _answer_id(value: Any) -> uuid.UUID:
    _check(type(value) is str)
    return uuid.UUID(hex=value)


def _encoding(value: Any) -> bytes:
    data = binascii.a2b_base64(value, strict_mode=True)
    _check(len(data) % 4 == 0 and DIMENSIONS <= len(data) // 4 <= MOST_DIMENSIONS)
    _check(bool(numpy.isfinite(numpy.frombuffer(data, "<f4")).all()))
    return data


def _nullable(of_value: _Value) -> _Value:
    return lambda value: None if value is None else of_value(value)


_VALUES: Final[Mapping[str, Mapping[str, _Value]]] = {
    "contact": {"contact_id": _integer, "name": _text(NAME_CHARACTERS)},
    "face": {
        "id": _integer,
        "contact_id": _integer,
        "face_id": _integer,
        "face_url": _text(URL_CHARACTERS),
        "external_id": _nullable(_integer),
        "score": _number,
        "is_face": _flag,
        "encoding": _nullable(_encoding),
        "model": _text(MODEL_CHARACTERS),
        "sha256": _text(HASH_CHARACTERS),
        "note": _text(NOTE_CHARACTERS),
        "created_at": _moment,
    },
    "feedback": {
        "answer_id": _answer_id,
        "is_right": _flag,
        "named": _nullable(_integer),
        "is_truth_known": _flag,
        "truth": _nullable(_integer),
        "confidence": _share,
        "created_at": _moment,
    },
}
