"""Bodies of requests: UTF-8 whatever they call themselves, and of bounded cost to take apart.

Both parsers stand for REST framework's of the same name, which decode by any codec of Python's that
a caller names: `punycode` takes time with the square of the length, `idna` ends in a 500.
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
"""No value comes without one of them before it, but the first of an object, which has its brace;
base64, of which large bodies are made, has none."""


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
