"""Albums, their photos, and archives on their way into one."""

from __future__ import annotations

import uuid
from datetime import date

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from backend.analysis.fields import EncodingField
from backend.common.jobs import queues
from backend.common.jobs.models import Job, Status, job_constraints, job_indexes
from backend.photos.models.sources import (
    Source,
    source_constraints,
    source_indexes,
    spread,
)


class AlbumQuerySet(models.QuerySet["Album"]):
    def visible(self) -> AlbumQuerySet:
        """Those that members may see."""
        return self.filter(hidden=False, is_processing=False)


class Album(models.Model):
    """Photos of one occasion."""

    title = models.CharField(max_length=200)
    date = models.DateField(default=date.today)
    hidden = models.BooleanField(default=False)
    # While photos are added: members see only complete albums.
    is_processing = models.BooleanField(default=False, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    cover = models.ForeignKey(
        "Photo", on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    objects = AlbumQuerySet.as_manager()

    class Meta:
        ordering = ["-date", "-pk"]
        indexes = [
            models.Index(fields=["-date", "-id"], name="album_newest"),
            # For the sweep, which looks for albums that are complete by now.
            models.Index(
                fields=["id"], condition=Q(is_processing=True), name="album_in_processing"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.title} ({self.date})"


class PhotoQuerySet(models.QuerySet["Photo"]):
    def visible(self) -> PhotoQuerySet:
        """Those that members may see."""
        shown = self.filter(hidden=False, album__hidden=False, album__is_processing=False)
        return shown.exclude(file="")


class Photo(Source):
    task = "backend.photos.tasks.process_photo"
    on_failed = "backend.photos.extraction.results.mark_failed"
    fair_by = "album_id"
    folder = "photos"

    album = models.ForeignKey(Album, on_delete=models.CASCADE, related_name="photos")
    hidden = models.BooleanField(default=False)
    # From its metadata, else the time of upload; orders the album.
    taken_at = models.DateTimeField(default=timezone.now)
    faces_count = models.PositiveIntegerField(default=0)

    objects = PhotoQuerySet.as_manager()

    class Meta:
        ordering = ["taken_at", "pk"]
        constraints = [
            *source_constraints("photo"),
            models.UniqueConstraint(fields=["album", "sha256"], name="photo_once_an_album"),
        ]
        indexes = [
            *source_indexes("photo", fair_by="album"),
            models.Index(fields=["album", "taken_at", "id"], name="photo_in_order"),
            # Copies in other albums.
            models.Index(fields=["sha256"], name="photo_by_bytes"),
            # After each photo it is checked whether its album is complete.
            models.Index(fields=["album"], condition=Q(file=""), name="photo_unprepared"),
        ]

    def __str__(self) -> str:
        return self.name or str(self.key)

    @property
    def is_original_kept(self) -> bool:
        """Whether staff can have the uploaded file (`FACES_KEEP_ORIGINALS`)."""
        return self.status == Status.DONE and bool(self.original)

    def thumbnail_name(self, width_px: int) -> str:
        """Where the thumbnail of that width, one of `WIDTHS_PX`, is stored."""
        return spread(self.folder, self.key, f"-{width_px}.jpg")


class PhotoFaceManager(models.Manager["PhotoFace"]):
    """Defers encodings, which are several times as large as the rest of a row."""

    def get_queryset(self) -> models.QuerySet[PhotoFace]:
        return super().get_queryset().defer("encoding")

    def with_encodings(self) -> models.QuerySet[PhotoFace]:
        return super().get_queryset()


class PhotoFace(models.Model):
    """One face. Boxes are pixels of the upright photo; null if the extractor sent none."""

    photo = models.ForeignKey(Photo, on_delete=models.CASCADE, related_name="faces")
    index = models.PositiveIntegerField()
    top = models.IntegerField(null=True)
    right = models.IntegerField(null=True)
    bottom = models.IntegerField(null=True)
    left = models.IntegerField(null=True)
    encoding = EncodingField()
    # An `analysis.services.QualityShape`; clustering reads `too_poor`.
    quality = models.JSONField(null=True)
    # As `analysis.models.Face.rotation`.
    rotation = models.PositiveSmallIntegerField(default=0, db_default=0)

    objects = PhotoFaceManager()

    class Meta:
        ordering = ["photo", "index"]
        constraints = [
            models.UniqueConstraint(fields=["photo", "index"], name="photo_face_order"),
        ]

    def __str__(self) -> str:
        return f"face {self.index} of photo {self.photo_id}"


class Like(models.Model):
    """A user likes a photo, at most once."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    photo = models.ForeignKey(Photo, on_delete=models.CASCADE, related_name="likes")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["photo", "user"], name="like_once")]

    def __str__(self) -> str:
        return f"{self.user_id} likes photo {self.photo_id}"


def archive_path(upload: ArchiveUpload, filename: str) -> str:
    return f"album_archives/{upload.key}"


class ArchiveUpload(Job):
    """An archive of photos that is being unpacked into an album; resumed after an interruption."""

    queue = queues.UPLOADS
    task = "backend.photos.tasks.unpack"
    on_failed = "backend.photos.albums.archive_import.finish"
    fair_by = "album_id"

    album = models.ForeignKey(Album, on_delete=models.CASCADE, related_name="uploads")
    uploaded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    key = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    file = models.FileField(upload_to=archive_path, max_length=200, blank=True)
    name = models.CharField(max_length=200, blank=True)
    size_bytes = models.PositiveBigIntegerField(default=0)
    # Of its photos, as `Source.detector`.
    detector = models.CharField(max_length=16, blank=True, default="", db_default="")

    # Entries: in all (0 if unknown, as of a tar), and so far read, added and skipped.
    # `report` lists the skipped ones: `[{"name": …, "reason": …}, …]`.
    entries_count = models.PositiveIntegerField(default=0)
    entries_seen = models.PositiveIntegerField(default=0)
    photos_added = models.PositiveIntegerField(default=0)
    skipped = models.PositiveIntegerField(default=0)
    report = models.JSONField(default=list, blank=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = job_constraints("archive_upload")
        indexes = job_indexes("archive_upload", fair_by="album")

    def __str__(self) -> str:
        return f"{self.name} into {self.album_id}"

    def go_on_later(self) -> bool:
        """PROCESSING → QUEUED with its attempts reset, because it has made progress."""
        return self._leave(status=Status.QUEUED, due_at=timezone.now(), attempts=0)
