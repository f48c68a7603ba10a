"""Media storage, on disk or in a bucket: the interface for the rest of the service."""

import errno
import os
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import BinaryIO, Protocol, cast

from django.conf import settings
from django.core.files.storage import Storage, default_storage
from django.db.models.fields.files import FieldFile


class StorageError(OSError):
    """The storage is out of reach or refuses; another attempt may help."""

    def __init__(self, message: str) -> None:
        # With an errno, as errors of the disk: an OSError without one is a decoder's.
        super().__init__(errno.EIO, message)


class Bucket(Protocol):
    """What a bucket (`s3.PrivateBucket`) can do besides Django's storage interface."""

    def check(self) -> None: ...
    def walk(self, folder: str) -> Iterator[tuple[str, datetime]]: ...
    def signed_url(self, name: str, headers: Mapping[str, str]) -> str: ...


def bucket(storage: Storage = default_storage) -> Bucket | None:
    """`storage` as a bucket; None where it is a folder."""
    return cast(Bucket, storage) if hasattr(storage, "signed_url") else None


def stream(file: FieldFile) -> BinaryIO:
    """What an open `file` reads from, without Django's two proxies, which take more time than a
    decoder's small reads."""
    return cast(BinaryIO, file.file.file)


def check() -> bool:
    """Whether files can be stored now. Raises `StorageError` if a bucket does not answer."""
    if kept_in := bucket():
        kept_in.check()
        return True
    folder = settings.MEDIA_ROOT
    # The first upload makes the folder.
    return os.access(folder if folder.exists() else folder.parent, os.W_OK)
