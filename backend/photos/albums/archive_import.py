"""Import of an album from one archive: stored by the web process, unpacked by a worker.

Each entry of the archive is one transaction: a photo or a line of the report, and the position to
resume from. However often a worker is interrupted, no entry is lost or imported twice.
"""

from __future__ import annotations

import logging
import tempfile
import time
from pathlib import PurePath
from typing import Any, BinaryIO, Final, cast

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.core.files.base import File
from django.db import transaction
from django.db.models import F

from backend.common.jobs import runner
from backend.common.jobs.models import JobError, Status
from backend.photos.albums import archive_reader, service
from backend.photos.albums.archive_reader import Entry, EntryError
from backend.photos.files import storage
from backend.photos.files.storage import UploadRejected
from backend.photos.models import Album, ArchiveUpload, Photo

logger = logging.getLogger(__name__)

_REPORTED: Final = 1000
"""Lines of a report; further entries are only counted."""

_SHARE_OF_JOB: Final = 0.25
"""Of FACES_JOB_TIMEOUT_S: then the rest becomes another job, so that other jobs get a turn."""

_IN_MEMORY_BYTES: Final = 16 << 20

_TAKEN_OVER: Final = "Another worker has claimed this upload."


def accept(
    album: Album, upload: File[Any], *, by: AbstractBaseUser | None, detector: str = ""
) -> ArchiveUpload:
    """Store an archive, hide its album, and enqueue the unpacking. Raises `UploadRejected`.

    The worker finds out whether it is an archive, and records a failure in `reason`.
    """
    size_bytes = upload.size or 0
    if size_bytes > settings.FACES_MAX_ARCHIVE_BYTES:
        raise UploadRejected(f"It has more than {settings.FACES_MAX_ARCHIVE_BYTES} bytes.")
    name = storage.displayable(upload.name or "")
    taken = ArchiveUpload(album=album, name=name, size_bytes=size_bytes, detector=detector)
    taken.uploaded_by_id = by.pk if by else None
    upload.seek(0)
    taken.file.save(name, upload, save=False)
    try:
        _insert(taken)
    except BaseException:
        taken.file.storage.delete(str(taken.file.name))
        raise
    return taken


def unpack() -> None:
    """The job's task: unpack the upload whose turn it is. Safe to call any number of times."""
    runner.run_next(ArchiveUpload, _unpack)


def finish(upload: ArchiveUpload) -> None:
    """Delete the archive of an upload that has ended; its album may be complete."""
    if upload.file.name:
        upload.file.storage.delete(upload.file.name)
        ArchiveUpload.objects.filter(pk=upload.pk).update(file="")
    service.complete(upload.album_id)


def sweep() -> None:
    """The sweep's step, for uploads whose worker died between the end and `finish`."""
    over = ArchiveUpload.objects.filter(status__in=[Status.DONE, Status.FAILED]).exclude(file="")
    for upload in over:
        finish(upload)


def _insert(upload: ArchiveUpload) -> None:
    with transaction.atomic():
        if not Album.objects.filter(pk=upload.album_id).update(is_processing=True):
            raise UploadRejected(service.NO_ALBUM)
        upload.save(force_insert=True)
        transaction.on_commit(upload.enqueue)


def _unpack(upload: ArchiveUpload) -> None:
    deadline = time.monotonic() + settings.FACES_JOB_TIMEOUT_S * _SHARE_OF_JOB
    with upload.file.open("rb") as opened:
        file = cast(BinaryIO, opened)
        _ours(upload).update(entries_count=archive_reader.count(file))
        for place, entry in enumerate(
            archive_reader.read_entries(file, size_bytes=upload.size_bytes)
        ):
            if place < upload.entries_seen:
                continue
            if time.monotonic() > deadline:
                if upload.go_on_later():
                    upload.enqueue()
                return
            _settle(upload, entry)
    if not upload.entries_seen:
        raise archive_reader.ArchiveError(archive_reader.EMPTY)
    if upload.succeed(entries_count=upload.entries_seen):
        logger.info("unpacked upload=%s photos=%d", upload.pk, upload.photos_added)
        finish(upload)


def _settle(upload: ArchiveUpload, entry: Entry) -> None:
    try:
        photo = _photo(upload, entry)
    except (EntryError, UploadRejected) as reason:
        _skip(upload, entry, str(reason))
        return
    try:
        with transaction.atomic():
            _count(upload, photos_added=F("photos_added") + 1)
            service.insert(photo)
        upload.entries_seen += 1
    except UploadRejected as reason:
        storage.discard(photo)
        _skip(upload, entry, str(reason))
    except BaseException:
        storage.discard(photo)
        raise


def _photo(upload: ArchiveUpload, entry: Entry) -> Photo:
    """A photo whose row is not inserted yet. Raises `EntryError` or `UploadRejected`."""
    if entry.refusal:
        raise EntryError(entry.refusal)
    name = storage.displayable(entry.name)
    storage.check_name(name)
    with tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES) as unpacked:
        entry.unpack(cast(BinaryIO, unpacked), max_bytes=settings.FACES_MAX_UPLOAD_BYTES)
        file: File[Any] = File(unpacked, name=name)
        file.size = unpacked.tell()
        return service.stored(upload.album, file, name=name, detector=upload.detector)


def _skip(upload: ArchiveUpload, entry: Entry, reason: str) -> None:
    report = upload.report
    if len(report) < _REPORTED:
        report = [*report, {"name": _shown(entry.name), "reason": reason}]
    with transaction.atomic():
        _count(upload, skipped=F("skipped") + 1, report=report)
    upload.report, upload.entries_seen = report, upload.entries_seen + 1


def _count(upload: ArchiveUpload, **changes: Any) -> None:
    """Count one entry, in a transaction that is rolled back if the claim is no longer ours."""
    if not _ours(upload).update(entries_seen=upload.entries_seen + 1, **changes):
        raise JobError(_TAKEN_OVER, permanent=False)


def _ours(upload: ArchiveUpload) -> Any:
    return ArchiveUpload.objects.filter(
        pk=upload.pk, status=Status.PROCESSING, claimed_by=upload.claimed_by
    )


def _shown(name: str) -> str:
    """The entry's name with its folders, safe to show."""
    parts = PurePath(name.replace("\\", "/")).parts
    return "/".join(storage.displayable(part) or "/" for part in parts)[-200:]
