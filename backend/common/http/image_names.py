"""Names of uploaded images: a name may only name an image format; the content decides the rest.

A name without an extension, or with one that names no format (`blob`, `Dr. Who`, `2024.07.19`),
says nothing about the content.
"""

import re
from typing import Final

from backend.common.normalization import normalized

EXTENSIONS: Final = (
    "gif jpg jpeg png webp bmp tif tiff heic heif avif".split()  # noqa: SIM905  the contract's order
)
"""One name a format, and the usual second ones; these are named where an upload is refused."""

_ALIASES: Final = {
    **dict.fromkeys(["jpe", "jfif", "jfi", "jif", "pjpeg", "pjp", "mpo"], "jpg"),
    **{"apng": "png", "dib": "bmp", "rle": "bmp", "avifs": "avif"},
    **{"insp": "jpg", "thm": "jpg"},
    **{"heics": "heic", "heifs": "heif", "hif": "heif"},
}
"""Further names of the same formats: browsers save `jfif`, Sony and Canon cameras write `hif`,
panoramic ones `insp`."""

_OF_NO_FORMAT: Final = frozenset(
    [
        *("tmp", "temp", "part", "partial", "download", "crdownload", "opdownload", "upload"),
        *("bak", "backup", "old", "orig", "original", "copy", "cache", "bin", "dat", "data"),
        *("img", "image", "pic", "picture", "photo", "file", "blob", "unknown", "octet"),
    ]
)
"""Of copies, unfinished downloads and untyped bytes: they say nothing about the content."""

_CAMERA_RAW: Final = frozenset(
    [
        *("3fr", "arw", "cr2", "cr3", "crw", "dcr", "dng", "erf", "iiq", "kdc", "mef", "mos"),
        *("mrw", "nef", "nrw", "orf", "pef", "raf", "raw", "rw2", "rwl", "sr2", "srf", "srw"),
        "x3f",
    ]
)
"""The decoder refuses what is in them with a sentence that helps more than one about names."""

_EXTENSION: Final = re.compile(r"\.(?=[0-9]*[^\W\d_])([^\W_]++)[^/\\.]*+$")
"""Letters and digits, one letter at least, behind the last dot: of `a.jpg (1)` and `a.jpg_large`,
`jpg`. A blank behind the dot makes it the end of a sentence."""


def refused_extension(name: str) -> str:
    """The extension of `name` that names no image format; "" where there is none."""
    extension = _extension_of(name)
    return "" if extension in _ALLOWED else extension


def stored_extension(name: str) -> str:
    """The extension under which an accepted image of this name is stored: one of `EXTENSIONS`."""
    extension = _extension_of(name)
    extension = _ALIASES.get(extension, extension)
    return extension if extension in EXTENSIONS else "jpg"


def _extension_of(name: str) -> str:
    end = normalized("NFKC", name[-_MAX_CHARS:], at_most=_MAX_CHARS)
    found = _EXTENSION.search(end.strip())
    return found[1].lower() if found else ""


_MAX_CHARS: Final = 255
"""Of a name, from its end: more than any file system takes."""
_ALLOWED: Final = frozenset(EXTENSIONS) | _ALIASES.keys() | _OF_NO_FORMAT | _CAMERA_RAW | {""}
