"""Listing stored files, to find orphans: files that no row names."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final

from django.core.files.storage import Storage
from django.utils import timezone

_AGE: Final = timedelta(days=1)
"""A file is stored before its row is, so a younger file may still get one."""


def older_than_a_day(storage: Storage, folders: Iterable[str]) -> Iterator[str]:
    """Names of the files in `folders` and below that are older than a day."""
    before = timezone.now() - _AGE
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
    except FileNotFoundError:  # deleted in the meantime
        return None


def _files(storage: Storage, folder: str) -> Iterable[str]:
    try:
        folders, files = storage.listdir(folder)
    except FileNotFoundError:
        return
    yield from (f"{folder}/{file}" for file in files)
    for inner in folders:
        yield from _files(storage, f"{folder}/{inner}")
