"""Parsers of request bodies: always UTF-8, at a bounded cost.

They replace REST framework's parsers of the same name, which decode with any Python codec that the
caller names: `punycode` takes quadratic time, `idna` ends in a 500.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import IO, Any, Final

from rest_framework import parsers
from rest_framework.exceptions import APIException, ParseError

MOST_VALUES: Final = 1_000_000
"""A hundred MB of `{},` are two GB of dictionaries; a batch of a hundred faces has a thousand."""

_MARKS: Final = (b",", b"[", b"{")
"""One of them precedes every value, except the first of an object, whose brace counts for it.
Base64, which makes up large bodies, contains none."""


class _TooMany(APIException):
    status_code = 413
    default_detail = f"At most {MOST_VALUES} values are taken in one body."


class JSONParser(parsers.JSONParser):
    """JSON (RFC 8259): in UTF-8, without NaN and infinities, not nested beyond measure."""

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        body = stream.read()
        if sum(body.count(mark) for mark in _MARKS) > MOST_VALUES:
            raise _TooMany
        try:
            return json.loads(body.decode(), parse_constant=_refuse)
        except ValueError as error:
            raise ParseError(f"JSON parse error - {error}") from error
        except RecursionError:
            raise ParseError("JSON parse error - It is nested too deeply.") from None


class MultiPartParser(parsers.MultiPartParser):
    """A form, with files maybe."""

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        return super().parse(stream, media_type, {**(parser_context or {}), "encoding": "utf-8"})


def _refuse(constant: str) -> float:
    raise ValueError(f"Out of range float values are not JSON compliant: {constant}")
