"""The faces of an image, as facts about its bytes."""

import uuid
from collections.abc import Iterable

from django.db import models
from django.db.models import Q
from django.utils import timezone

from backend.analysis.fields import EncodingField
from backend.common.jobs import queues
from backend.common.jobs.models import Job, job_constraints, job_indexes


def source_path(analysis: "Analysis", filename: str) -> str:
    """A name of its own for each request: two with the same bytes must not share a file."""
    name = str(uuid.uuid4())
    return f"waiting/{name[:2]}/{name[2:4]}/{name}"


class Analysis(Job):
    """What one detector and one model find in one owner's bytes.

    Owners share no analysis, so the time of an answer depends on the owner's own images alone.

    A worker with the bytes in hand inserts the row as PROCESSING and deletes it if it fails. For a
    request that waits, `source` keeps the bytes until the analysis has ended.
    """

    queue = queues.INTERACTIVE
    task = "backend.analysis.tasks.compute"
    batch_task = "backend.analysis.tasks.compute_many"
    on_failed = "backend.analysis.compute.ended"
    fair_by = "owner"
    # A request inserts the row, then stores the bytes.
    takes_turns = "source <> ''"

    # A client (`services.client_owner`), a photo or reference, or one comparison.
    owner = models.CharField(max_length=40)
    sha256 = models.CharField(max_length=64)
    detector = models.CharField(max_length=16)
    detection_pixels = models.PositiveBigIntegerField()
    model = models.CharField(max_length=64)
    source = models.FileField(upload_to=source_path, max_length=200, blank=True)
    faces_count = models.PositiveIntegerField(default=0)
    # What the search could have found; unknown of older rows.
    smallest_face_px = models.PositiveIntegerField(null=True, blank=True)
    engine_s = models.FloatField(default=0.0)

    class Meta:
        verbose_name_plural = "analyses"
        constraints = [
            # Two workers with the same bytes of one owner compute them once.
            models.UniqueConstraint(
                fields=["owner", "sha256", "detector", "detection_pixels", "model"],
                name="analysis_once",
            ),
            *job_constraints("analysis"),
        ]
        indexes = [
            *job_indexes("analysis", fair_by="owner"),
            # The retention command looks for analyses of a certain age.
            models.Index(fields=["created_at"], name="analysis_created"),
        ]

    @classmethod
    def claimable(cls) -> models.QuerySet["Analysis"]:
        """Due, with the bytes to compute."""
        return super().claimable().exclude(source="")

    def __str__(self) -> str:
        return f"{self.sha256[:12]} by {self.detector}: {self.status}"


class Mark(models.Model):
    """What an owner said by hand of an image: there is a face in this box, or there is none.

    It is of the bytes, so it holds for each analysis of theirs and for every copy.
    """

    class Kind(models.TextChoices):
        """Also the values of `Face.by_hand`."""

        DRAWN = "drawn"
        HIDDEN = "hidden"

    owner = models.CharField(max_length=40)
    sha256 = models.CharField(max_length=64)
    kind = models.CharField(max_length=8, choices=Kind)
    top = models.IntegerField()
    right = models.IntegerField()
    bottom = models.IntegerField()
    left = models.IntegerField()
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes = [models.Index(fields=["owner", "sha256"], name="mark_of_bytes")]

    def __str__(self) -> str:
        return f"{self.kind} box in {self.sha256[:12]}"


class FaceManager(models.Manager["Face"]):
    """Rows come without their encodings, which are several times as large as all the rest."""

    def get_queryset(self) -> models.QuerySet["Face"]:
        return super().get_queryset().defer("encoding")

    def with_encodings(self) -> models.QuerySet["Face"]:
        return super().get_queryset()


class Face(models.Model):
    """One face. Boxes are pixels of the upright image; `right` and `bottom` lie just outside."""

    analysis = models.ForeignKey(Analysis, on_delete=models.CASCADE, related_name="faces")
    index = models.PositiveIntegerField()
    top = models.IntegerField()
    right = models.IntegerField()
    bottom = models.IntegerField()
    left = models.IntegerField()
    # As many numbers as the analysis's model makes. None only of one that was drawn or is hidden by
    # hand. Its type says never: such a face is too poor, and what compares faces leaves those out.
    encoding = EncodingField(null=True, any_size=True)  # type: ignore[misc]
    score = models.FloatField()
    size_px = models.PositiveIntegerField()
    sharpness = models.FloatField()
    yaw = models.FloatField()
    roll = models.FloatField()
    too_poor = models.CharField(max_length=16, blank=True)
    # Degrees clockwise by which the face is turned: 0, 90, 180 or 270.
    rotation = models.PositiveSmallIntegerField(default=0, db_default=0)
    # Of `Mark.Kind`; empty of a face that was found and stays. A hidden one keeps its place.
    by_hand = models.CharField(max_length=8, blank=True, default="", db_default="")

    objects = FaceManager()

    class Meta:
        verbose_name = "detected face"
        ordering = ["index"]
        constraints = [
            # The order is part of the result: "the first face" must be one face.
            models.UniqueConstraint(fields=["analysis", "index"], name="face_order"),
            models.CheckConstraint(
                condition=Q(encoding__isnull=False) | ~Q(by_hand=""), name="found_face_has_encoding"
            ),
        ]

    def __str__(self) -> str:
        return f"face {self.index} of analysis {self.analysis_id}"

    def validate_constraints(self, exclude: Iterable[str] | None = None) -> None:
        """Those on the encoding are left to the database: Django asks if an array is true."""
        super().validate_constraints({*(exclude or ()), "encoding"})
