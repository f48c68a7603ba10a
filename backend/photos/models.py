"""Members, albums, photos and reference faces: one space, whose staff keeps the albums."""

from __future__ import annotations

import uuid
from datetime import date, datetime
from typing import Final

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from backend.analysis.fields import EncodingField
from backend.common.jobs import queues, work
from backend.common.jobs.work import Status, Work

WIDTHS_PX: Final = (300, 600, 1200)
"""Of the thumbnails: a tile, a tile on a dense screen, a photo that fills a page."""


class Extraction(models.TextChoices):
    """What clients are told of the faces of a photo or reference.

    PROCESSING ──recorded──▶ DONE
        ▲  ├────recorded, and it cannot be used──▶ REJECTED   references only
        │  └────never will be──▶ FAILED ──┐
        └──────somebody asked to try again┘

    `Work.status` beside it tells only whether one of our workers has to do something, which is also
    so when the faces are found elsewhere, or not at all: it makes the pictures for the pages.
    """

    PROCESSING = "processing"
    DONE = "done"
    REJECTED = "rejected"
    FAILED = "failed"


def original_path(source: Source, filename: str) -> str:
    extension = filename.rpartition(".")[2].lower()
    return spread(f"{source.folder}_originals", source.key, f".{extension}")


def picture_path(source: Source, filename: str) -> str:
    return spread(source.folder, source.key, ".jpg")


def archive_path(upload: ArchiveUpload, filename: str) -> str:
    return f"album_archives/{upload.key}"


def spread(folder: str, key: uuid.UUID, ending: str) -> str:
    """`photos/72/46/7246f927-….jpg`: two levels, so that no folder grows past some thousands."""
    return f"{folder}/{str(key)[:2]}/{str(key)[2:4]}/{key}{ending}"


class Member(models.Model):
    """What this app knows of a user. Who never opted in, or out again, has no references."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, primary_key=True, related_name="member"
    )
    opted_in_at = models.DateTimeField(null=True, blank=True)
    opted_out_at = models.DateTimeField(null=True, blank=True)
    # Albums dated before or after are not theirs to be found on; empty: no bound.
    joined_on = models.DateField(null=True, blank=True)
    left_on = models.DateField(null=True, blank=True)

    def __str__(self) -> str:
        return str(self.user)

    @property
    def takes_part(self) -> bool:
        return self.opted_in_at is not None


class AlbumQuerySet(models.QuerySet["Album"]):
    def visible(self) -> AlbumQuerySet:
        """What members may see."""
        return self.filter(hidden=False, is_processing=False)


class Album(models.Model):
    """Photos of one occasion, the newest first."""

    title = models.CharField(max_length=200)
    date = models.DateField(default=date.today)
    hidden = models.BooleanField(default=False)
    # While photos are added: members see an album when it is complete, or not at all.
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
            # The sweep looks for albums that are complete by now.
            models.Index(
                fields=["id"], condition=Q(is_processing=True), name="album_in_processing"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.title} ({self.date})"


class Source(Work):
    """An image whose faces are to be found: by our workers, by AWS Lambda, or by nobody for now.

    The worker makes `file` of `original`, which then goes: it holds metadata, where it was taken.
    """

    queue = queues.UPLOADS
    folder: str

    # Random: it is in names of files, and whoever knows one must not be able to tell another.
    key = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    original = models.FileField(upload_to=original_path, max_length=200, blank=True)
    # An upright JPEG without metadata: the only thing that anybody is ever shown.
    file = models.FileField(upload_to=picture_path, max_length=200, blank=True)
    # Of the original.
    sha256 = models.CharField(max_length=64)
    name = models.CharField(max_length=200, blank=True)
    width = models.PositiveIntegerField(default=0)
    height = models.PositiveIntegerField(default=0)

    extraction = models.CharField(max_length=16, choices=Extraction, default=Extraction.PROCESSING)
    extracted_at = models.DateTimeField(null=True, blank=True)
    rejection = models.CharField(max_length=200, blank=True)
    made_by = models.CharField(max_length=120, blank=True)

    # Of those that are handed to AWS Lambda: when, how often, and the SHA-256 of the last token.
    submitted_at = models.DateTimeField(null=True, blank=True)
    submissions = models.PositiveIntegerField(default=0)
    token_sha256 = models.CharField(max_length=64, blank=True)

    class Meta:
        abstract = True

    @property
    def why(self) -> str:
        """Why it was rejected or has failed, as a sentence; else empty."""
        return self.rejection or (self.reason if self.status == Status.FAILED else "")


def source_constraints(name: str) -> list[models.BaseConstraint]:
    """What must hold of every row; `name` begins the constraints' names."""
    return [
        *work.constraints(name),
        models.CheckConstraint(
            condition=Q(extraction__in=Extraction.values), name=f"{name}_extraction_known"
        ),
        # A token that was used, or that nobody waits for, opens nothing.
        models.CheckConstraint(
            condition=Q(extraction=Extraction.PROCESSING) | Q(token_sha256=""),
            name=f"{name}_token_while_processing",
        ),
    ]


def source_indexes(name: str) -> list[models.Index]:
    return [
        *work.indexes(name),
        # What waits for its faces, by when it was handed out: for the sweep and the dispatch.
        models.Index(
            fields=["submitted_at"],
            condition=Q(extraction=Extraction.PROCESSING, status=Status.DONE),
            name=f"{name}_waiting",
        ),
        # What failed and was not told yet.
        models.Index(
            fields=["id"],
            condition=Q(extraction=Extraction.PROCESSING, status=Status.FAILED),
            name=f"{name}_untold",
        ),
    ]


class PhotoQuerySet(models.QuerySet["Photo"]):
    def visible(self) -> PhotoQuerySet:
        """What members may see."""
        shown = self.filter(hidden=False, album__hidden=False, album__is_processing=False)
        return shown.exclude(file="")


class Photo(Source):
    task = "backend.photos.tasks.process_photo"
    folder = "photos"

    album = models.ForeignKey(Album, on_delete=models.CASCADE, related_name="photos")
    hidden = models.BooleanField(default=False)
    # As its metadata says, else when it was uploaded: the order within an album.
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
            *source_indexes("photo"),
            models.Index(fields=["album", "taken_at", "id"], name="photo_in_order"),
            # Whether its album is complete is asked behind each photo.
            models.Index(fields=["album"], condition=Q(file=""), name="photo_unprepared"),
        ]

    def __str__(self) -> str:
        return self.name or str(self.key)

    def thumbnail_name(self, width_px: int) -> str:
        """Where the thumbnail of that width, one of `WIDTHS_PX`, is stored."""
        return spread(self.folder, self.key, f"-{width_px}.jpg")


class PhotoFaceManager(models.Manager["PhotoFace"]):
    """Rows come without their encodings, which are several times as large as all the rest."""

    def get_queryset(self) -> models.QuerySet[PhotoFace]:
        return super().get_queryset().defer("encoding")

    def with_encodings(self) -> models.QuerySet[PhotoFace]:
        return super().get_queryset()


class PhotoFace(models.Model):
    """One face. Boxes are pixels of the upright photo; who finds faces elsewhere sends none."""

    photo = models.ForeignKey(Photo, on_delete=models.CASCADE, related_name="faces")
    index = models.PositiveIntegerField()
    top = models.IntegerField(null=True)
    right = models.IntegerField(null=True)
    bottom = models.IntegerField(null=True)
    left = models.IntegerField(null=True)
    encoding = EncodingField()
    # As `analysis.services.QualityShape`, of which clustering asks `too_poor`.
    quality = models.JSONField(null=True)

    objects = PhotoFaceManager()

    class Meta:
        ordering = ["photo", "index"]
        constraints = [
            models.UniqueConstraint(fields=["photo", "index"], name="photo_face_order"),
        ]

    def __str__(self) -> str:
        return f"face {self.index} of photo {self.photo_id}"


class ReferenceManager(models.Manager["Reference"]):
    """As `PhotoFaceManager`."""

    def get_queryset(self) -> models.QuerySet[Reference]:
        return super().get_queryset().defer("encoding")

    def with_encodings(self) -> models.QuerySet[Reference]:
        return super().get_queryset()

    def matching(self) -> models.QuerySet[Reference]:
        """Those whose matches count: done, and not marked for deletion."""
        return self.get_queryset().filter(
            extraction=Extraction.DONE, marked_for_deletion_at__isnull=True
        )


class Reference(Source):
    """A picture of a member's face, by which their photos are found."""

    task = "backend.photos.tasks.process_reference"
    folder = "references"

    # PROTECT: a user goes when nothing of them is left; no database deletes files.
    member = models.ForeignKey(Member, on_delete=models.PROTECT, related_name="references")
    encoding = EncodingField(null=True)  # type: ignore[misc]  # read before it is there: None
    marked_for_deletion_at = models.DateTimeField(null=True, blank=True)

    objects = ReferenceManager()

    class Meta:
        ordering = ["-created_at", "-pk"]
        constraints = [
            *source_constraints("reference"),
            # Exactly one face, or it is no reference.
            models.CheckConstraint(
                condition=~Q(extraction=Extraction.DONE) | Q(encoding__isnull=False),
                name="reference_done_has_encoding",
            ),
        ]
        indexes = [
            *source_indexes("reference"),
            # Data minimisation asks for those that were marked long ago.
            models.Index(
                fields=["marked_for_deletion_at"],
                condition=Q(marked_for_deletion_at__isnull=False),
                name="reference_marked",
            ),
        ]

    def __str__(self) -> str:
        return f"reference {self.pk} of {self.member_id}"

    def marked(self, at: datetime) -> bool:
        return self.marked_for_deletion_at is not None and self.marked_for_deletion_at <= at


class Like(models.Model):
    """A user likes a photo, at most once."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    photo = models.ForeignKey(Photo, on_delete=models.CASCADE, related_name="likes")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["photo", "user"], name="like_once")]

    def __str__(self) -> str:
        return f"{self.user_id} likes photo {self.photo_id}"


class ArchiveUpload(Work):
    """A zip or tar of photos on its way into an album; continued where it was interrupted."""

    queue = queues.UPLOADS
    task = "backend.photos.tasks.unpack"

    album = models.ForeignKey(Album, on_delete=models.CASCADE, related_name="uploads")
    uploaded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    key = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    file = models.FileField(upload_to=archive_path, max_length=200, blank=True)
    name = models.CharField(max_length=200, blank=True)
    size_bytes = models.PositiveBigIntegerField(default=0)

    # Entries of the archive: in all (0 while that is not known, as of a tar), and of these so far
    # looked at, taken in, and skipped. `report` is `[{"name": …, "reason": …}, …]` of the skipped.
    entries_count = models.PositiveIntegerField(default=0)
    entries_seen = models.PositiveIntegerField(default=0)
    photos_added = models.PositiveIntegerField(default=0)
    skipped = models.PositiveIntegerField(default=0)
    report = models.JSONField(default=list, blank=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = work.constraints("archive_upload")
        indexes = work.indexes("archive_upload")

    def __str__(self) -> str:
        return f"{self.name} into {self.album_id}"

    def go_on_later(self) -> bool:
        """PROCESSING → QUEUED with its attempts forgotten, as it has come further."""
        return self._leave(status=Status.QUEUED, due_at=timezone.now(), attempts=0)


# The tables of matching and of grouping, for Django to find.
from backend.photos.match_models import ByHand as ByHand  # noqa: E402
from backend.photos.match_models import Match as Match  # noqa: E402
from backend.photos.match_models import Matching as Matching  # noqa: E402
from backend.photos.match_models import NotMe as NotMe  # noqa: E402
from backend.photos.people_models import Grouping as Grouping  # noqa: E402
from backend.photos.people_models import NotPerson as NotPerson  # noqa: E402
from backend.photos.people_models import Person as Person  # noqa: E402
from backend.photos.people_models import UnknownFace as UnknownFace  # noqa: E402
