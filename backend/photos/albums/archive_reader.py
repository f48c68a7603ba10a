"""Reads the files of an untrusted zip, tar or tar.gz, one after the other.

Names are for display only: files are stored under other names. Each file is unpacked up to a bound.
Links, devices and nested archives are not unpacked.
"""

from __future__ import annotations

import gzip
import io
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import BinaryIO, Final

from backend.common.jobs.models import JobError
from backend.photos.albums import entry_names
from backend.photos.albums.decompression import Allowance, Bounded, Reader

MAX_ENTRIES: Final = 20_000
"""Entries of an archive, folders included; an album has hundreds."""

_MAX_RATIO: Final = 100
"""Unpacked to packed bytes. Photos hardly shrink; white bitmaps reach 30."""

_SLACK_BYTES: Final = 64 << 20
"""This much may be unpacked at any ratio."""

_MAX_HEADER_BYTES: Final = 1 << 20
"""Headers before one file of a tar; they hold names."""

_MAX_DIRECTORY_BYTES: Final = MAX_ENTRIES * 512
"""The directory of a zip, which is read at once."""

_CHUNK_BYTES: Final = 1 << 20

NOT_AN_ARCHIVE: Final = "This is no zip or tar file, or it is damaged."
TOO_MANY: Final = f"The archive holds more than {MAX_ENTRIES} files and folders."
BOMB: Final = f"The archive unpacks to more than {_MAX_RATIO} times its size."
EMPTY: Final = "The archive holds no file."
CUT_SHORT: Final = "The archive is damaged: it ends before its last file does."

_SPARSE: Final = "The archive holds a file with holes, which photos do not have."
_UNSAFE_NAME: Final = "Its name leads out of the archive."
_HIDDEN: Final = "It is a hidden file."
_NOT_A_FILE: Final = "It is a link or a device, and no file."
_LOCKED: Final = "It is protected by a password."
_UNKNOWN_METHOD: Final = "It is packed in a way that is not supported."
_DAMAGED: Final = "It is damaged."
_NESTED: Final = "An archive within the archive is not opened."

OTHER_FORMAT: Final = "Only zip, tar and tar.gz are taken: pack the photos as one of these."

_ZIPPED: Final = (b"PK\3\4", b"PK\5\6")
_GZIPPED: Final = b"\x1f\x8b"
_OTHERS: Final = (
    *(b"BZh", b"\xfd7zXZ\0", b"7z\xbc\xaf\x27\x1c", b"Rar!", b"\x28\xb5\x2f\xfd"),
    *(b"MSCF", b"\x60\xea", b"\x1f\x9d", b"\x04\x22\x4d\x18", b"LZIP", b"07070", b"xar!"),
)
"""bzip2, xz, 7z, RAR, Zstandard; cabinet, ARJ, compress, LZ4, lzip, cpio, xar."""

_TAR: Final = slice(257, 262)
"""Where a tar of today has `ustar` (POSIX.1-2001, pax). Its last file may be a zip."""

_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""zipfile inflates these in pieces; a bzip2 entry of 658 bytes would become 700 MB at once."""

_ARCHIVES: Final = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar")

_FROM_ROOT: Final = re.compile(r"^(?:[/\\]|[A-Za-z]:[/\\])|\x00")

_CLUTTER: Final = frozenset(
    {"__macosx", "@eadir", "#recycle", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"}
)
"""Files and folders of thumbnails and views, by macOS, Windows and Synology."""

# What a broken zip, tar or compressed stream raises while it is read.
_BROKEN: Final = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    EOFError,
    ValueError,
    OSError,
)


class ArchiveError(JobError):
    """The archive cannot be read any further; a retry would not help."""

    def __init__(self, message: str) -> None:
        super().__init__(message, permanent=True)


class EntryError(Exception):
    """One entry cannot be unpacked; the message is the reason, as a sentence for the user."""


@dataclass(frozen=True)
class Entry:
    """One file of an archive. Valid until the iterator advances."""

    name: str
    refusal: str
    """Why it is not unpacked; else empty."""
    open: Callable[[], Reader]

    def unpack(self, into: BinaryIO, *, max_bytes: int) -> None:
        """Write its bytes to `into`. Raises `EntryError`, or `ArchiveError` of the whole."""
        with _reading(EntryError(_DAMAGED)):
            file = self.open()
        left_bytes = max_bytes
        while True:
            with _reading(EntryError(_DAMAGED)):
                chunk = file.read(_CHUNK_BYTES)
            left_bytes -= len(chunk)
            if left_bytes < 0:
                raise EntryError(f"It has more than {max_bytes} bytes.")
            if not chunk:
                return
            into.write(chunk)


def read_entries(file: BinaryIO, *, size_bytes: int) -> Iterator[Entry]:
    """The files of the archive, without folders, in the same order each time.

    Raises `ArchiveError` if it is no archive, a decompression bomb, or truncated.
    """
    file.seek(0)
    head = file.read(_TAR.stop)
    file.seek(0)
    allowance = Allowance(_SLACK_BYTES + _MAX_RATIO * size_bytes, ArchiveError(BOMB))
    if _is_zip(file, head):
        yield from _of_zip(file, allowance)
    elif head.startswith(_OTHERS):
        raise ArchiveError(OTHER_FORMAT)
    elif head.startswith(_GZIPPED):
        yield from _of_tar(gzip.GzipFile(fileobj=file, mode="rb"), allowance)
    else:
        yield from _of_tar(file, allowance)


def count(file: BinaryIO) -> int:
    """The number of files in a zip's directory; 0 for a tar, which has none."""
    file.seek(0)
    if not _is_zip(file, file.read(_TAR.stop)):
        return 0
    return sum(not info.is_dir() for info in _opened_zip(file).infolist())


def _is_zip(file: BinaryIO, head: bytes) -> bool:
    """Whether it is a zip, also behind a program that unpacks it; leaves `file` at its start."""
    if head.startswith(_ZIPPED):
        return True
    if head.startswith((*_OTHERS, _GZIPPED)) or head[_TAR] == b"ustar":
        return False
    with _reading(ArchiveError(NOT_AN_ARCHIVE)):
        record = zipfile._EndRecData(file)  # type: ignore[attr-defined]
    file.seek(0)
    return record is not None


def _of_zip(file: BinaryIO, allowance: Allowance) -> Iterator[Entry]:
    archive = _opened_zip(file)

    def opened(info: zipfile.ZipInfo) -> Reader:
        return Bounded(archive.open(info), allowance)

    named = zip(entry_names.of_zip(archive.infolist()), archive.infolist(), strict=True)
    for name, info in sorted(named, key=lambda each: (each[0], each[1].header_offset)):
        if not info.is_dir():
            refusal = _refusal(name) or _refusal_of_zipped(info)
            yield Entry(name.split("\0")[0], refusal, partial(opened, info))


def _opened_zip(file: BinaryIO) -> zipfile.ZipFile:
    with _reading(ArchiveError(NOT_AN_ARCHIVE)):
        # The end record holds the directory's length, before zipfile reads all of it into memory.
        record = zipfile._EndRecData(file)  # type: ignore[attr-defined]
        if record is not None and record[5] > _MAX_DIRECTORY_BYTES:
            raise ArchiveError(TOO_MANY)
        archive = zipfile.ZipFile(file)
    if len(archive.infolist()) > MAX_ENTRIES:
        raise ArchiveError(TOO_MANY)
    return archive


def _refusal_of_zipped(info: zipfile.ZipInfo) -> str:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        return _NOT_A_FILE
    if info.flag_bits & 1:
        return _LOCKED
    return "" if info.compress_type in _METHODS else _UNKNOWN_METHOD


def _of_tar(file: Reader, allowance: Allowance) -> Iterator[Entry]:
    stream = Bounded(file, allowance)
    with _reading(ArchiveError(NOT_AN_ARCHIVE)), stream.at_most(_of_headers()):
        # "r|": read once from beginning to end, so that no header can make it seek.
        archive = tarfile.open(fileobj=stream, mode="r|")  # type: ignore[call-overload]  # noqa: SIM115
    for _ in range(MAX_ENTRIES + 1):
        with _reading(ArchiveError(CUT_SHORT)), stream.at_most(_of_headers()):
            member = archive.next()
        if member is None:
            return
        yield from _member(archive, member)
    raise ArchiveError(TOO_MANY)


def _of_headers() -> Allowance:
    """tarfile reads headers into memory, whatever length they claim."""
    return Allowance(_MAX_HEADER_BYTES, ArchiveError(NOT_AN_ARCHIVE))


def _member(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Iterator[Entry]:
    archive.members.clear()  # type: ignore[attr-defined]  # else all of them are kept in memory
    if member.issparse():
        raise ArchiveError(_SPARSE)
    # For a link, `extractfile` would open the target.
    has_bytes = member.isreg() or member.type not in tarfile.SUPPORTED_TYPES
    body = archive.extractfile(member) if has_bytes else None
    if not member.isdir():
        name = entry_names.of_tar(member.name)
        refusal = _refusal(name) or ("" if member.isreg() else _NOT_A_FILE)
        yield Entry(name, refusal, lambda: body or io.BytesIO())
    with _reading(ArchiveError(CUT_SHORT)):
        while body is not None and body.read(_CHUNK_BYTES):
            pass


def _refusal(name: str) -> str:
    """Why a file of this name is not unpacked, the worst reason first; else empty."""
    parts = name.replace("\\", "/").split("/")
    if _FROM_ROOT.search(name) or _leads_out(parts):
        return _UNSAFE_NAME
    if any(part not in (".", "..") and _is_hidden(part) for part in parts):
        return _HIDDEN
    return _NESTED if name.lower().endswith(_ARCHIVES) else ""


def _leads_out(parts: list[str]) -> bool:
    """Whether `..` is ever above the archive's own folder."""
    steps = (-1 if part == ".." else part not in ("", ".") for part in parts)
    return min(accumulate(steps)) < 0 or parts[-1] == ".."


def _is_hidden(part: str) -> bool:
    return part.startswith(".") or part.lower() in _CLUTTER


@contextmanager
def _reading(broken: Exception) -> Iterator[None]:
    """Errors of damaged data become `broken`; errors of the disk stay as they are."""
    try:
        yield
    except _BROKEN as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise broken from error
    except (RuntimeError, IndexError, OverflowError, struct.error) as error:
        # Raised by zipfile for directories and entries that contradict each other.
        raise broken from error
