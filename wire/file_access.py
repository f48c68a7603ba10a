"""Whether this process may write where the service keeps its data, and the sentence if not.

Containers run as any user: `user:` of compose, rootless engines, mounted folders of the host.
Without the check the database, or the images of some days later, would fail one by one.
"""

import os
import stat
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

_FOLDER_MODE: Final = 0o750
_SAMPLED: Final = 20
"""Folders of images that are looked at: all were made by one user, or those of one day."""


def complaint(storage: Path) -> str:
    """Why the service cannot write into `storage`; empty if it can."""
    for path in _written(storage):
        needed = os.W_OK | os.R_OK | (os.X_OK if path.is_dir() else 0)
        if not os.access(path, needed):
            return _sentence(path)
    return ""


def share_with_owner_alone(media: Path) -> None:
    """Make the folder of images, readable by this user and group alone, as those in it are.

    So another user's nginx is refused at its start, and not for every single image.
    """
    media.mkdir(parents=True, exist_ok=True)
    found = media.stat()
    if found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) != _FOLDER_MODE:
        media.chmod(_FOLDER_MODE)


def require(storage: Path) -> None:
    """End the process with the sentence, if it cannot write into `storage`."""
    try:
        storage.mkdir(parents=True, exist_ok=True)
        why = complaint(storage)
    except OSError:
        why = _sentence(storage)
    if why:
        raise SystemExit(f"Faces cannot go on: {why}")


def _written(storage: Path) -> Iterator[Path]:
    yield storage
    names = ("db.sqlite3", "db.sqlite3-wal", "run", "staticfiles", "media")
    yield from (path for name in names if (path := storage / name).exists())
    folders = (each for each in _children(storage / "media") if each.is_dir())
    for folder in islice(folders, _SAMPLED):
        yield folder
        yield from islice(_children(folder), _SAMPLED)


def _children(folder: Path) -> Iterator[Path]:
    return folder.iterdir() if folder.is_dir() else iter(())


def _sentence(path: Path) -> str:
    while not path.exists() and path != path.parent:
        path = path.parent
    found = path.stat()
    user = f"{os.geteuid()}:{os.getegid()}"
    return (
        f"the user {user} cannot write to {path}, which belongs to {found.st_uid}:{found.st_gid} "
        f"with mode {stat.S_IMODE(found.st_mode):o}: give it to that user (chown -R {user}), or "
        "run Faces as its owner (docs/running.md, Users)."
    )
