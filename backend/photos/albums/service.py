"""Albums and their photos: added, shown when complete, liked, erased."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final, NamedTuple

from django.contrib.auth.models import AbstractBaseUser
from django.core.files.base import File
from django.db import IntegrityError, transaction
from django.db.models import Count, Q

from backend.common.http.upload_fields import sha256_of
from backend.common.jobs.models import Status
from backend.photos.files import storage
from backend.photos.files.storage import UploadRejected
from backend.photos.models import Album, ArchiveUpload, Extraction, Like, Photo

logger = logging.getLogger(__name__)

DUPLICATE: Final = "It is in the album already."
NO_ALBUM: Final = "The album was deleted."

_AT_A_TIME: Final = 200

_UNPREPARED: Final = Q(file="") & (
    Q(status=Status.QUEUED, attempts=0) | Q(status=Status.PROCESSING)
)
"""Photos without pictures that are queued for their first attempt or being processed. The album
does not wait for one that is retried, maybe for an hour: it appears when it is ready."""

_UNFINISHED: Final = Q(status__in=[Status.QUEUED, Status.PROCESSING])


class Skipped(NamedTuple):
    """A file that was not taken in, and why."""

    name: str
    reason: str


@dataclass
class Report:
    """The outcome of an upload of several files."""

    added: list[Photo] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)


def create_album(title: str, *, date: date, hidden: bool = False) -> Album:
    return Album.objects.create(title=title, date=date, hidden=hidden)


def change_album(album: Album, *, title: str, date: date, hidden: bool) -> None:
    Album.objects.filter(pk=album.pk).update(title=title, date=date, hidden=hidden)


def add_photos(album: Album, uploads: Iterable[File[Any]], *, detector: str = "") -> Report:
    """Add those of the files that are images and not in the album yet.

    `detector` is to find their faces; empty: the service's.
    """
    report = Report()
    for upload in uploads:
        name = storage.displayable(upload.name or "")
        try:
            report.added.append(add_photo(album, upload, name=name, detector=detector))
        except UploadRejected as reason:
            report.skipped.append(Skipped(name, str(reason)))
    return report


def add_photo(album: Album, upload: File[Any], *, name: str, detector: str = "") -> Photo:
    """Add one file; members see it and the album when its pictures are made.

    Raises `UploadRejected`. The file is stored before the row is inserted, so a crash in between
    leaves a file without a row, which `manage.py dataminimisation` deletes.
    """
    photo = stored(album, upload, name=name, detector=detector)
    try:
        insert(photo)
    except BaseException:
        storage.discard(photo)
        raise
    return photo


def stored(album: Album, upload: File[Any], *, name: str, detector: str = "") -> Photo:
    """A photo whose file is stored and whose row is not inserted. Raises `UploadRejected`."""
    storage.check_name(name)
    sha256 = sha256_of(upload)
    # Before it is decoded, so that an album that is uploaded again costs little.
    if Photo.objects.filter(album=album, sha256=sha256).exists():
        raise UploadRejected(DUPLICATE)
    storage.check_image(upload)
    photo = Photo(album=album, sha256=sha256, detector=detector)
    storage.store_original(photo, upload, name=name)
    return photo


def insert(photo: Photo) -> None:
    """Insert the row, and hide the album until it is complete. Raises `UploadRejected`."""
    with transaction.atomic():
        if not Album.objects.filter(pk=photo.album_id).update(is_processing=True):
            raise UploadRejected(NO_ALBUM)
        try:
            with transaction.atomic():
                photo.save(force_insert=True)
        except IntegrityError:
            raise UploadRejected(DUPLICATE) from None
        transaction.on_commit(photo.enqueue)


def complete_album_of(photo_id: int) -> None:
    """`complete` for the album of a photo that a worker has just processed."""
    closed = Photo.objects.filter(pk=photo_id, album__is_processing=True).order_by()
    for album_id in closed.values_list("album", flat=True):
        complete(album_id)


def complete(album_id: int) -> bool:
    """Show the album if no photo or archive of it is in process."""
    with transaction.atomic():
        # Locked first, so that a photo added at this moment counts.
        album = Album.objects.select_for_update().filter(pk=album_id, is_processing=True)
        if not album.values("pk").first():
            return False
        if Photo.objects.filter(_UNPREPARED, album=album_id).exists():
            return False
        if ArchiveUpload.objects.filter(_UNFINISHED, album=album_id).exists():
            return False
        return bool(Album.objects.filter(pk=album_id).update(is_processing=False))


def complete_all() -> None:
    """The sweep's step, for albums whose worker died before `complete`."""
    for album_id in list(Album.objects.filter(is_processing=True).values_list("pk", flat=True)):
        complete(album_id)


def hide_albums(albums: Iterable[Album], *, hidden: bool) -> int:
    return Album.objects.filter(pk__in=[album.pk for album in albums]).update(hidden=hidden)


def hide_photos(photos: Iterable[Photo], *, hidden: bool) -> int:
    return Photo.objects.filter(pk__in=[photo.pk for photo in photos]).update(hidden=hidden)


def erase_photo(photo: Photo) -> None:
    """Delete a photo with its files, faces, matches and likes."""
    storage.erase(photo)


def erase_album(album: Album) -> None:
    """Delete an album with its photos and archives; uploads in process are rejected."""
    Album.objects.filter(pk=album.pk).update(hidden=True)
    for upload in album.uploads.exclude(file=""):
        upload.file.storage.delete(str(upload.file.name))
    album.uploads.all().delete()
    while photos := list(Photo.objects.filter(album=album)[:_AT_A_TIME]):
        for photo in photos:
            storage.erase(photo)
    Album.objects.filter(pk=album.pk).delete()
    logger.info("erased album=%s", album.pk)


def like(photo: Photo, user: AbstractBaseUser) -> None:
    Like.objects.get_or_create(photo=photo, user_id=user.pk)


def unlike(photo: Photo, user: AbstractBaseUser) -> None:
    Like.objects.filter(photo=photo, user_id=user.pk).delete()


def progress(album: Album) -> dict[str, int]:
    """Numbers of its photos: all, with pictures, with faces extracted, failed."""
    counted = Photo.objects.filter(album=album).order_by()
    return counted.aggregate(
        photos_count=Count("pk"),
        prepared_count=Count("pk", filter=~Q(file="")),
        done_count=Count("pk", filter=Q(extraction=Extraction.DONE)),
        failed_count=Count("pk", filter=Q(status=Status.FAILED)),
    )
