"""The files under `media/`, for whoever looks for those that belong to nothing."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final

from django.core.files.storage import Storage
from django.utils import timezone

_SETTLED: Final = timedelta(days=1)
"""A file is stored before its row: only a file older than this can be said to have none."""


def settled(storage: Storage, folders: Iterable[str]) -> Iterator[str]:
    """Names of the files in `folders` and below that have been there for a day."""
    before = timezone.now() - _SETTLED
    for folder in folders:
        for name, modified in _walk(storage, folder):
            if modified is not None and modified < before:
                yield name


def _walk(storage: Storage, folder: str) -> Iterator[tuple[str, datetime | None]]:
    # A bucket lists a thousand files with their times at once; asked singly, each is a request.
    if walk := getattr(storage, "walk", None):
        yield from walk(folder)
        return
    for name in _files(storage, folder):
        yield name, _modified(storage, name)


def _modified(storage: Storage, name: str) -> datetime | None:
    try:
        return storage.get_modified_time(name)
    except FileNotFoundError:  # deleted in the meantime, as most things are some day
        return None


def _files(storage: Storage, folder: str) -> Iterable[str]:
    try:
        folders, files = storage.listdir(folder)
    except FileNotFoundError:
        return
    yield from (f"{folder}/{file}" for file in files)
    for inner in folders:
        yield from _files(storage, f"{folder}/{inner}")
