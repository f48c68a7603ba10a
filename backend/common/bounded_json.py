"""The one reader of JSON from outside (RFC 8259), whatever carries it: body, form field or line.

Its time and memory are bounded by the number of values, which is estimated before any is made.
"""

from __future__ import annotations

import json
from typing import Any, Final

MAX_VALUES: Final = 200_000
"""Of one text: 200,000 dictionaries take 50 MB. A batch of a hundred faces has a thousand."""

_MAX_WIDE_BYTES: Final = 8 << 20
"""Python keeps 4 bytes a character of a text with one emoji, in the text and again in its value."""

_MARKS: Final = (b",", b"[", b"{")
"""One of them precedes every value, except the first of an object, whose brace counts for it.
Base64, which makes up large bodies, contains none."""


class TooMuch(ValueError):
    """The text would take more memory than its bytes are worth."""


def loads(text: bytes | str, *, max_values: int = MAX_VALUES) -> Any:
    """The value of `text`, in UTF-8, without NaN and infinities.

    Raises `TooMuch`, or `ValueError` with a sentence for what is no JSON.
    """
    data = text.encode(errors="surrogatepass") if isinstance(text, str) else text
    if sum(data.count(mark) for mark in _MARKS) > max_values:
        raise TooMuch(f"At most {max_values} values are taken in one body.")
    if len(data) > _MAX_WIDE_BYTES and not data.isascii():
        raise TooMuch(f"JSON beyond ASCII has at most {_MAX_WIDE_BYTES >> 20} MiB.")
    try:
        return _decoder.decode(data.decode())
    except RecursionError:
        raise ValueError("It is nested too deeply.") from None


def _refuse(constant: str) -> float:
    raise ValueError(f"Out of range float values are not JSON compliant: {constant}")


_decoder: Final = json.JSONDecoder(parse_constant=_refuse)
"""Kept, because `json.loads` makes one anew for each text, at the cost of a short line."""
