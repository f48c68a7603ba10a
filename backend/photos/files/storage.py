"""Files of photos and references: checked, stored, and deleted with their rows."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from itertools import islice
from pathlib import PurePosixPath
from typing import Any, BinaryIO, Final, cast
from uuid import UUID

from django.conf import settings
from django.core.files.base import ContentFile, File
from django.core.files.storage import Storage, default_storage
from django.db import models, transaction
from django.utils import timezone

from backend.analysis import services as analysis
from backend.common.http.errors import Unavailable
from backend.common.http.image_names import EXTENSIONS, refused_extension
from backend.common.jobs.models import JobError, Status
from backend.common.storage import orphans
from backend.photos.models import (
    WIDTHS_PX,
    ArchiveUpload,
    Extraction,
    Photo,
    PhotoFace,
    Reference,
    lock_for_deletion,
    picture_path,
)

logger = logging.getLogger(__name__)

NOT_AN_IMAGE: Final = "It is not an image, or it is damaged."
WRONG_EXTENSION: Final = f"Its name ends in none of: {', '.join(EXTENSIONS)}."

_FOLDERS: Final[dict[str, tuple[type[models.Model], str]]] = {
    "photos": (Photo, "key"),
    "photos_originals": (Photo, "original"),
    "references": (Reference, "key"),
    "references_originals": (Reference, "original"),
    "album_archives": (ArchiveUpload, "file"),
}
"""Folders of this app: the model, and its column that holds a file's name or begins it."""

_AT_A_TIME: Final = 500


class UploadRejected(Exception):
    """An upload is rejected; the message is the reason, as a sentence for the user."""


def check_name(name: str) -> None:
    """Check the extension. Raises `UploadRejected`."""
    if refused_extension(name):
        raise UploadRejected(WRONG_EXTENSION)


def check_image(upload: File[Any]) -> None:
    """Decode it as cheaply as its format allows. Raises `UploadRejected`."""
    if (upload.size or 0) > settings.FACES_MAX_UPLOAD_BYTES:
        raise UploadRejected(f"It has more than {settings.FACES_MAX_UPLOAD_BYTES} bytes.")
    upload.seek(0)
    try:
        analysis.check_image(cast(BinaryIO, upload))
    except analysis.AnalysisError as error:
        raise UploadRejected(str(error) if error.is_specific else NOT_AN_IMAGE) from error
    except Unavailable as error:  # the rest of the album is taken
        raise UploadRejected(str(error)) from error


def store_original(source: Photo | Reference, upload: File[Any], *, name: str) -> None:
    """Store the uploaded bytes; `discard` them if the row is not inserted."""
    source.name = displayable(name)
    upload.seek(0)
    source.original.save(name, upload, save=False)


def discard(source: Photo | Reference) -> None:
    if source.original.name:
        source.original.storage.delete(source.original.name)


def store_picture(source: Photo | Reference, name: str, jpeg: bytes) -> str:
    """Store a picture made by a worker, in place of one that a dead worker left."""
    storage = source.file.storage
    storage.delete(name)
    stored = str(storage.save(name, ContentFile(jpeg)))
    if stored != name:
        storage.delete(stored)
        raise JobError("Another worker makes the same pictures.", permanent=False)
    return stored


def delete_files(source: Photo | Reference) -> None:
    """Delete every file that it may have, whether or not its row names it."""
    for name in _names(source):
        source.file.storage.delete(name)


def erase(source: Photo | Reference) -> None:
    """Delete files, row, faces and everything that refers to them. Safe to call again.

    The row is deleted after its files, so that no file is left without a row. A worker that is
    processing it finds no row for its results, and deletes its files.
    """
    delete_files(source)
    rows = type(source)._default_manager.filter(pk=source.pk)
    with transaction.atomic():
        lock_for_deletion(rows)
        rows.delete()
    delete_files(source)  # also those that a worker made meanwhile
    logger.info("erased %s=%s", source._meta.model_name, source.pk)


def is_gone(source: Photo | Reference) -> bool:
    return not type(source)._default_manager.filter(pk=source.pk).exists()


def resubmit(source: Photo | Reference) -> bool:
    """Extract the faces again; False while a worker does, and for a reference that is done."""
    rows = type(source)._default_manager.filter(pk=source.pk).exclude(status=Status.PROCESSING)
    if isinstance(source, Reference):  # its photos are matched by its encoding
        rows = rows.exclude(extraction=Extraction.DONE)
    new: dict[str, Any] = {"status": Status.QUEUED, "attempts": 0, "reason": ""}
    new |= {"due_at": timezone.now(), "processed_at": None, "extraction": Extraction.PROCESSING}
    new |= {"extracted_at": None, "rejection": "", "extractor": "", "token_sha256": ""}
    new |= {"submitted_at": None}
    new |= {"faces_count": 0} if isinstance(source, Photo) else {}
    with transaction.atomic():
        if not rows.update(**new):
            return False
        if isinstance(source, Photo):
            lock_for_deletion(PhotoFace.objects.filter(photo=source))
            PhotoFace.objects.filter(photo=source).delete()
        transaction.on_commit(source.enqueue)
    return True


def displayable(name: str) -> str:
    """A file's name that is safe to show and store: without folders and control characters."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(letter if letter.isprintable() else "?" for letter in last)[:200]


def orphaned_files(storage: Storage = default_storage) -> Iterator[str]:
    """Names of stored files without a row, left by a crash between two steps."""
    for folder, (model, column) in _FOLDERS.items():
        files = orphans.older_than_a_day(storage, [folder])
        while names := list(islice(files, _AT_A_TIME)):
            named = {name: _key(name) if column == "key" else name for name in names}
            wanted = [value for value in named.values() if value is not None]
            rows = model._default_manager.filter(**{f"{column}__in": wanted})
            known = set(rows.values_list(column, flat=True))
            yield from (name for name, value in named.items() if value not in known)


def _names(source: Photo | Reference) -> set[str]:
    names = {source.original.name or "", picture_path(source, "")}
    if isinstance(source, Photo):
        names |= {source.thumbnail_name(width_px) for width_px in WIDTHS_PX}
    return names - {""}


def _key(name: str) -> UUID | None:
    try:
        return UUID(PurePosixPath(name).stem[:36])
    except ValueError:
        return None
