"""The lines of an exported gallery: made sure of, and turned into what the columns hold."""

from __future__ import annotations

import base64
import gzip
import json
import math
import uuid
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC
from itertools import islice
from typing import IO, Any, Final

import numpy
from django.utils.dateparse import parse_datetime

from backend.analysis.fields import checked
from backend.recognition.contract import INTEGERS, NAME_CHARACTERS, URL_CHARACTERS

FORMAT: Final = "faces-gallery"
VERSION: Final = 1
KINDS: Final = ("contact", "face", "feedback")
"""Of lines, in the order in which they stand between the first and the last."""

_LINE_BYTES: Final = 1 << 16
"""The longest line: a URL of 8192 characters, each escaped, and an encoding fit into it."""

_BATCH: Final = 500

Line = dict[str, Any]


class Unreadable(ValueError):
    """The file cannot be imported; the message names the line."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(f"Line {line}: {message}")


def lines(file: IO[bytes]) -> Iterator[tuple[int, str, Line]]:
    """Number, kind and content of each line between the first and the end. Raises `Unreadable`."""
    seen = 0
    for number, line in _rawlines(file):
        if number == 1:
            _check_head(line)
        elif "end" in line:
            return
        else:
            kind, content = next(iter(line.items())) if len(line) == 1 else ("", None)
            if kind not in KINDS[seen:] or not isinstance(content, dict):
                raise Unreadable(number, "A contact, a face, feedback or the end is expected.")
            seen = KINDS.index(kind)
            yield number, kind, content
    raise Unreadable(1, "The file is not complete: it has no end.")


def batches(file: IO[bytes], kind: str) -> Iterator[list[Line]]:
    """The lines of one kind, some hundred at a time."""
    wanted = (content for _, each, content in lines(file) if each == kind)
    while batch := list(islice(wanted, _BATCH)):
        yield batch


def end(file: IO[bytes]) -> Any:
    return next(line["end"] for _, line in _rawlines(file) if "end" in line)


def _rawlines(file: IO[bytes]) -> Iterator[tuple[int, Line]]:
    number = 0
    try:
        for number, raw in enumerate(_split(file), 1):
            if len(raw) > _LINE_BYTES:
                raise Unreadable(number, f"It is longer than {_LINE_BYTES} bytes.")
            line = json.loads(raw, parse_constant=_no_number)
            if not isinstance(line, dict):
                raise Unreadable(number, "A JSON object is expected.")
            yield number, line
    except (EOFError, OSError, zlib.error) as error:
        raise Unreadable(number + 1, "The compressed file is damaged.") from error
    except Unreadable:
        raise
    except (ValueError, RecursionError) as error:
        raise Unreadable(number, "It is no JSON.") from error


def _split(file: IO[bytes]) -> Iterator[bytes]:
    file.seek(0)
    compressed = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    lines: Any = gzip.GzipFile(fileobj=file) if compressed else file
    while raw := lines.readline(_LINE_BYTES + 1):
        yield raw


def _check_head(line: Mapping[str, Any]) -> None:
    if line.get("format") != FORMAT:
        raise Unreadable(1, "This is no exported gallery.")
    if line.get("version") != VERSION:
        raise Unreadable(1, f"Only version {VERSION} of the format is known here.")


def contact_values(line: Line) -> dict[str, Any]:
    """The columns of a contact; as all of these it raises `ValueError`, `KeyError`, `TypeError`."""
    return {
        "contact_id": integer(line, "contact_id"),
        "name": _text(line, "name", NAME_CHARACTERS),
    }


def face_values(line: Line) -> dict[str, Any]:
    """The columns of a face, without its contact."""
    is_face, text = _flag(line, "is_face"), line["encoding"]
    if (text is not None) != is_face:
        raise ValueError("encoding: a face has one, and what is no face has none.")
    external_id = line["external_id"]
    return {
        "face_id": integer(line, "face_id"),
        "face_url": _text(line, "face_url", URL_CHARACTERS),
        "external_id": None if external_id is None else integer(line, "external_id"),
        "score": _real(line, "score"),
        "is_face": is_face,
        "encoding": None if text is None else _encoding(text),
        "model": _text(line, "model", 64),
        "sha256": _text(line, "sha256", 64),
        "note": _text(line, "note", 200),
        "created_at": _time(line),
    }


def feedback_values(line: Line) -> dict[str, Any]:
    return {
        "answer_id": uuid.UUID(_text(line, "answer_id", 36)),
        "is_right": _flag(line, "is_right"),
        "is_truth_known": _flag(line, "is_truth_known"),
        "confidence": _share(line, "confidence"),
        "created_at": _time(line),
    }


def integer(line: Line, name: str) -> int:
    value = line[name]
    if type(value) is not int or value not in INTEGERS:
        raise ValueError(f"{name}: An integer is expected.")
    return value


def _real(line: Line, name: str) -> float:
    value = line[name]
    if type(value) not in (int, float) or not math.isfinite(value):
        raise ValueError(f"{name}: A number is expected.")
    return float(value)


def _share(line: Line, name: str) -> float:
    value = _real(line, name)
    if not 0 <= value <= 1:
        raise ValueError(f"{name}: A number from 0 to 1 is expected.")
    return value


def _flag(line: Line, name: str) -> bool:
    if type(line[name]) is not bool:
        raise ValueError(f"{name}: true or false is expected.")
    return bool(line[name])


def _text(line: Line, name: str, characters: int) -> str:
    value = line[name]
    # PostgreSQL stores no text with a zero in it, and no half of a character.
    if not isinstance(value, str) or len(value) > characters or "\0" in value:
        raise ValueError(f"{name}: A text of at most {characters} characters is expected.")
    with suppress(UnicodeEncodeError):
        value.encode()
        return value
    raise ValueError(f"{name}: It holds half of a character.")


def _time(line: Line) -> Any:
    value = parse_datetime(_text(line, "created_at", 40))
    if value is None or value.tzinfo is None:
        raise ValueError("created_at: A time with its zone is expected.")
    try:
        return value.astimezone(UTC)
    except OverflowError:  # a moment before the year 1, or after 9999
        raise ValueError("created_at: No database holds this time.") from None


def _encoding(text: Any) -> Any:
    try:
        return checked(numpy.frombuffer(base64.b64decode(text, validate=True), "<f4"))
    except (ValueError, TypeError) as error:
        message = "encoding: 128 finite little-endian float32 in base64 are expected."
        raise ValueError(message) from error


def sentence(error: Exception) -> str:
    return f"{error.args[0]} is missing." if isinstance(error, KeyError) else str(error)


def _no_number(name: str) -> float:
    raise ValueError(name)
