"""Names in archives, made readable: a zip rarely says in which encoding its names are.

Names are for display only, so a wrong guess harms nothing. Programs on macOS write UTF-8 without
its flag, those on Windows and DOS the code page of their country. The guess is made for all names
of an archive together, because the longer a text the fewer encodings it makes sense in.
"""

import re
import struct
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from typing import Final

from backend.common.normalization import normalized

_UTF_8_FLAG: Final = 0x800
_UNICODE_PATH: Final = 0x7075
"""Info-ZIP's extra field: a version, the CRC of the plain name, the name in UTF-8."""

_CODE_PAGES: Final = ("cp866", "cp932", "cp850", "cp437")
"""Russian, Japanese, Western European, and DOS's first; the earlier one where two make sense."""

_MAX_CHARS: Final = 1000
"""Longer names are shown as they are: an archive may have ten thousand of 64 kB each."""

_WORD: Final = re.compile(r"[^\W\d_]+")
_JAPANESE: Final = re.compile(r"[\u3005-\u30ff\u3400-\u9fff\uff01-\uff60]+")
_KANA: Final = re.compile(r"[\u3040-\u30ff]{2}")
_LATIN: Final = re.compile(r"[A-Za-z\u00aa-\u024f]")
_CYRILLIC: Final = re.compile(r"[\u0400-\u04ff]")


def of_zip(entries: Sequence[zipfile.ZipInfo]) -> list[str]:
    """The name of each entry, in order, in Unicode's composed form (NFC)."""
    stored = [_stored(info) for info in entries]
    names = decoded([name for name in stored if isinstance(name, bytes)])
    return [_composed(names.pop(0) if isinstance(name, bytes) else name) for name in stored]


def of_tar(name: str) -> str:
    """As `of_zip`, of one name as `tarfile` gives it: bytes that are no UTF-8 as surrogates."""
    (readable,) = decoded([name.encode("utf-8", "surrogateescape")])
    return _composed(readable)


def decoded(names: Sequence[bytes]) -> list[str]:
    """The names in UTF-8 where they are, and the others in the code page that suits them all."""
    odd = [name for name in names if _in_utf_8(name) is None]
    page = _code_page(odd) if odd else ""
    return [
        text if (text := _in_utf_8(name)) is not None else name.decode(page, "replace")
        for name in names
    ]


def _stored(info: zipfile.ZipInfo) -> str | bytes:
    """The name that the entry states, or its bytes in an unknown encoding."""
    if info.flag_bits & _UTF_8_FLAG:
        return info.orig_filename
    # Python has decoded the bytes as cp437, in which each byte is a character.
    plain = info.orig_filename.encode("cp437", "replace")
    return _unicode_path(info.extra, plain) or plain


def _unicode_path(extra: bytes, plain: bytes) -> str:
    """The name in the extra field, if it belongs to this plain one; else ""."""
    while len(extra) >= 4:
        kind, size = struct.unpack_from("<HH", extra)
        body, extra = extra[4 : 4 + size], extra[4 + size :]
        if kind == _UNICODE_PATH and len(body) > 5 and body[0] == 1:
            is_current = struct.unpack_from("<I", body, 1)[0] == zlib.crc32(plain)
            return (_in_utf_8(body[5:]) or "") if is_current else ""
    return ""


def _in_utf_8(name: bytes) -> str | None:
    try:
        return name.decode()
    except UnicodeDecodeError:
        return None


def _code_page(names: Iterable[bytes]) -> str:
    text = b"\n".join(names)
    return min(_CODE_PAGES, key=lambda page: _oddness(text, page))


def _oddness(text: bytes, page: str) -> float:
    """How many characters do not look like names written in the script of this code page."""
    try:
        read = text.decode(page)
    except UnicodeDecodeError:
        return float("inf")
    foreign = [letter for letter in read if letter > "\x7f"]
    if page == "cp932":
        runs = _JAPANESE.findall(read)
        # One character alone between Latin letters is an accented letter, read wrongly.
        lone = sum(len(run) == 1 for run in runs)
        has_kana = bool(_KANA.search(read))  # which accident does not make
        return len(foreign) - sum(map(len, runs)) + lone - 0.5 * has_kana
    if page == "cp866":
        words = [word for word in _WORD.findall(read) if _CYRILLIC.search(word)]
        mixed = sum(bool(_LATIN.search(word)) or not _has_usual_case(word) for word in words)
        return sum(not _CYRILLIC.match(letter) for letter in foreign) + 2 * mixed
    return sum(not _LATIN.match(letter) for letter in foreign)


def _has_usual_case(word: str) -> bool:
    return word.islower() or word.isupper() or word.istitle()


def _composed(name: str) -> str:
    return normalized("NFC", name, at_most=_MAX_CHARS)
