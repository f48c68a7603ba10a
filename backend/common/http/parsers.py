"""Parsers of request bodies: always UTF-8, at a bounded cost.

They replace REST framework's parsers of the same name, which decode with any Python codec that the
caller names: `punycode` takes quadratic time, `idna` ends in a 500.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

from django.utils.http import parse_header_parameters
from rest_framework import parsers
from rest_framework.exceptions import APIException, ParseError

from backend.common import bounded_json
from backend.common.http import nameless_files


class _TooMuch(APIException):
    status_code = 413
    default_code = "too_large"


class JSONParser(parsers.JSONParser):
    """JSON (RFC 8259): in UTF-8, without NaN and infinities, not nested beyond measure."""

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        try:
            return bounded_json.loads(stream.read())
        except bounded_json.TooMuch as error:
            raise _TooMuch(str(error)) from error
        except ValueError as error:
            raise ParseError(f"JSON parse error - {error}") from error


class MultiPartParser(parsers.MultiPartParser):
    """A form, with files maybe; also such without a name, if they have content."""

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        context = {**(parser_context or {}), "encoding": "utf-8"}
        boundary = parse_header_parameters(media_type or "")[1].get("boundary", "")
        if not boundary.isascii() or not boundary:
            return super().parse(stream, media_type, context)
        naming: Any = nameless_files.NamingStream(stream, boundary.encode())
        parsed = super().parse(naming, media_type, context)
        for field, files in list(parsed.files.lists()):
            parsed.files.setlist(field, [each for each in files if not _is_nothing(each)])
            if not parsed.files.getlist(field):
                del parsed.files[field]
        return parsed


def _is_nothing(file: Any) -> bool:
    """Whether it is what a browser sends where no file was chosen."""
    return bool(file.name == nameless_files.NAME and not file.size)
