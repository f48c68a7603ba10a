"""Bytes of an image as text, in every form that clients commonly send.

Base64 (RFC 4648) in either alphabet, wrapped or not, with or without padding, alone or in a data
URI (RFC 2397) with any parameters, whose data may be percent-encoded. Anything else is refused with
its cause. Each step is one pass of C code without an object a character, as bodies have 32 MiB.
"""

import binascii
import re
from typing import Any, Final

# With or without "data:", which some clients cut off with the type left in place.
_URI: Final = re.compile(r"(data:)|[\w.+-]{1,100}/[\w.+-]", re.IGNORECASE)
_MARK: Final = re.compile(r"base64\s*+,", re.IGNORECASE)
_MAX_HEAD: Final = 1200
"""Characters within which the mark of base64 is looked for."""
_OTHER_URI: Final = re.compile(r"data:([^,]{0,1000}),", re.IGNORECASE)
_ADDRESS: Final = re.compile(r"(https?|blob|file|ftp|s3|content):", re.IGNORECASE)
_FOREIGN: Final = re.compile(r"[^A-Za-z0-9+/]")
_URL_SAFE: Final = bytes.maketrans(b"-_", b"+/")
_SPACES: Final = bytes(byte for byte in range(256) if chr(byte).isspace())
_NO_ESCAPE: Final = re.compile("%(?![0-9A-Fa-f]{2})")
_FORM: Final = "Send its bytes in base64, or as a data URI."


class NotBytes(ValueError):
    """The text holds no bytes; the message is the cause."""


def decode(text: Any) -> bytes:
    """The bytes; raises `NotBytes`."""
    if not isinstance(text, str):
        raise NotBytes(f"The image must be a text, not {_kind(text)}. {_FORM}")
    text = text.strip().strip("\ufeff\"'")
    if not text.isascii():
        _refuse_character(re.search(r"[^\x00-\x7f]", text))
    if at := _start_of_data(text):
        return _base64(_unescaped(text[at:]).decode("latin-1"))
    if match := _OTHER_URI.match(text):
        return _not_empty(_unescaped(text[match.end() :]))
    _refuse_other(text)
    return _base64(text)


def _start_of_data(text: str) -> int:
    """Where the digits of a data URI in base64 begin; 0 if the text is none.

    Each pattern is looked for once: one for the whole start took 5 s for 2,000 blanks. A quoted
    parameter may contain commas, so the mark is looked for before the first comma is.
    """
    uri = _URI.match(text)
    mark = _MARK.search(text, uri.end(), _MAX_HEAD) if uri else None
    if uri is None or mark is None:
        return 0
    parameters = text[uri.end() : mark.start()].rstrip()
    is_other = "\n" in parameters or ("," in parameters and not uri[1])
    return 0 if is_other else mark.end()


def _refuse_other(text: str) -> None:
    """Raise for what is commonly sent and is no base64, before it is taken for it."""
    if match := _ADDRESS.match(text):
        raise NotBytes(f"This is an address ({match[1].lower()}:), not the image. {_FORM}")
    if text[:5].lower() == "data:":
        raise NotBytes("This data URI has no comma between its type and its data.")
    if text[:2] in ("b'", 'b"'):
        raise NotBytes("This is Python's notation of bytes: decode the base64 to a text first.")


def _base64(text: str) -> bytes:
    # As bytes: a list of the words between the blanks takes thirteen times the text's memory.
    digits = text.encode("latin-1").translate(_URL_SAFE, _SPACES).decode("latin-1").rstrip("=")
    _refuse_character(_FOREIGN.search(digits))
    if len(digits) % 4 == 1:
        raise NotBytes("The base64 is cut off: a character is missing or too many.")
    return _not_empty(binascii.a2b_base64(digits + "=" * (-len(digits) % 4)))


def _refuse_character(match: re.Match[str] | None) -> None:
    if match is None:
        return
    if match[0] == "=":
        raise NotBytes("The base64 has padding (=) before its end: send one image a text.")
    raise NotBytes(f"{match[0]!r} at character {match.start() + 1} is no base64. {_FORM}")


def _unescaped(text: str) -> bytes:
    """`text`, which is ASCII, with each `%41` as the byte that it stands for.

    Quoted-printable differs by its sign alone, and has a decoder in C: `urllib` takes 250 bytes of
    memory for each escape.
    """
    if "%" not in text or _NO_ESCAPE.search(text):
        return text.encode()
    return binascii.a2b_qp(text.replace("=", "=3D").replace("%", "="))


def _not_empty(data: bytes) -> bytes:
    if not data:
        raise NotBytes(f"The text has no bytes of an image. {_FORM}")
    return data


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", bool: "a truth value", type(None): "null"}
    return names.get(type(value), "a number")
