"""All media from one storage to another, each file compared byte for byte before it counts."""

import hashlib
import os
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

from django.core.files.storage import Storage


class Moved(StrEnum):
    """What became of a file."""

    COPIED = "copied"
    THERE = "there already"
    DIFFERENT = "different"
    """Another file has its name: neither is touched."""
    GONE = "gone"
    """Deleted since it was listed, as images are all the time."""


def names_on_disk(root: Path) -> Iterator[str]:
    """Names of all files below `root`, as storages write them; no links."""
    for folder, folders, files in os.walk(root):
        folders.sort()
        for file in sorted(files):
            path = Path(folder, file)
            if not path.is_symlink():
                yield path.relative_to(root).as_posix()


def move(name: str, source: Storage, target: Storage, *, delete: bool) -> Moved:
    """Copy a file under its name; with `delete` the source's goes once the copy was read again."""
    try:
        moved = _copy(name, source, target)
    except FileNotFoundError:
        return Moved.GONE
    if delete and moved is not Moved.DIFFERENT:
        source.delete(name)
    return moved


def _copy(name: str, source: Storage, target: Storage) -> Moved:
    with source.open(name) as file:
        wanted = _digest(source, name)
        if target.exists(name):
            return Moved.THERE if _digest(target, name) == wanted else Moved.DIFFERENT
        saved = target.save(name, file)
    if saved != name or _digest(target, saved) != wanted:
        target.delete(saved)
        raise OSError(f"{name} did not arrive as it was sent")
    return Moved.COPIED


def _digest(storage: Storage, name: str) -> bytes:
    digest = hashlib.sha256()
    with storage.open(name) as file:
        for chunk in file.chunks():
            digest.update(chunk)
    return digest.digest()
