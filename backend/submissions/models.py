"""An uploaded image on its way from the queue to its result."""

import uuid

from django.db import models
from django.db.models import Q

from backend.common.http.image_names import stored_extension
from backend.common.jobs import queues
from backend.common.jobs.models import Job, Status, job_constraints, job_indexes


def original_path(submission: "Submission", filename: str) -> str:
    return _path("originals", submission.id, stored_extension(filename))


def result_path(submission: "Submission", filename: str) -> str:
    return _path("processed_faces", submission.id, "jpg")


def _path(folder: str, id: uuid.UUID, extension: str) -> str:
    """`72/46/7246f927-….jpg`: two levels, so that no folder grows past some thousand entries."""
    return f"{folder}/{str(id)[:2]}/{str(id)[2:4]}/{id}.{extension}"


class Submission(Job):
    queue = queues.UPLOADS
    task = "backend.submissions.tasks.process"
    on_failed = "backend.submissions.services.publish"
    fair_by = "owner_id"

    # Random, so that one id does not reveal another.
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    # PROTECT: a client is deleted after its data, never the other way round.
    owner = models.ForeignKey("clients.Client", on_delete=models.PROTECT, related_name="+")
    image = models.FileField(upload_to=original_path, max_length=200)
    sha256 = models.CharField(max_length=64)
    size_bytes = models.PositiveBigIntegerField()

    # That the upload named; empty: the service's.
    detector = models.CharField(max_length=16, blank=True, default="", db_default="")
    analysis = models.ForeignKey(
        "analysis.Analysis", on_delete=models.SET_NULL, null=True, blank=True
    )
    faces_count = models.PositiveIntegerField(default=0)
    result = models.FileField(upload_to=result_path, max_length=200, blank=True)
    event_id = models.CharField(max_length=50, blank=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = job_constraints("submission")
        indexes = [
            *job_indexes("submission", fair_by="owner"),
            # The sweep looks for unpublished outcomes as often.
            models.Index(
                fields=["processed_at"],
                condition=Q(event_id="", processed_at__isnull=False),
                name="submission_unpublished",
            ),
            # After Redis was emptied the newest outcomes are published again.
            models.Index(fields=["processed_at"], name="submission_processed"),
            # How many images of one client wait is asked at each of their uploads.
            models.Index(
                fields=["owner"],
                condition=Q(status__in=[Status.QUEUED, Status.PROCESSING]),
                name="submission_pending",
            ),
            # The dashboard shows the newest that failed, asked every few seconds.
            models.Index(
                fields=["processed_at"],
                condition=Q(status=Status.FAILED),
                name="submission_failed",
            ),
            # A client lists its newest.
            models.Index(fields=["owner", "-created_at", "-id"], name="submission_newest"),
            # Retention deletes by age.
            models.Index(fields=["created_at"], name="submission_created"),
        ]

    def __str__(self) -> str:
        return f"{self.id} ({self.status})"


class Correction(Job):
    """Work on an image whose faces were corrected by hand: they are looked at, and drawn anew.

    What was corrected is in the marks of its bytes (`analysis.marks`), so this may run twice.
    """

    queue = queues.INTERACTIVE
    task = "backend.submissions.tasks.correct"
    on_failed = "backend.submissions.corrections.ended"
    fair_by = "owner_id"

    owner = models.ForeignKey("clients.Client", on_delete=models.PROTECT, related_name="+")
    submission = models.ForeignKey(Submission, on_delete=models.CASCADE, related_name="corrections")

    class Meta:
        constraints = job_constraints("correction")
        indexes = job_indexes("correction", fair_by="owner")

    def __str__(self) -> str:
        return f"correction of {self.submission_id} ({self.status})"
