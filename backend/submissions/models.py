"""An uploaded image on its way from the queue to its result."""

import uuid
from datetime import datetime, timedelta
from typing import Any

from django.db import models
from django.db.models import F, Q
from django.utils import timezone


class Status(models.TextChoices):
    """Where a submission is.

    QUEUED ──claimed by a worker──▶ PROCESSING ──▶ DONE
       ▲                                │
       └──failed for now, or lost───────┴──▶ FAILED   for good, or tried too often
    """

    QUEUED = "queued"
    PROCESSING = "processing"
    DONE = "done"
    FAILED = "failed"


def original_path(submission: "Submission", filename: str) -> str:
    return _path("originals", submission.id, filename.rpartition(".")[2].lower())


def result_path(submission: "Submission", filename: str) -> str:
    return _path("processed_faces", submission.id, "jpg")


def _path(folder: str, id: uuid.UUID, extension: str) -> str:
    """`72/46/7246f927-….jpg`: two levels, so that no folder grows past some thousand entries."""
    return f"{folder}/{str(id)[:2]}/{str(id)[2:4]}/{id}.{extension}"


class Submission(models.Model):
    # Random and not counted up: whoever knows one id must not be able to tell another.
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    # PROTECT: a client goes when nothing of theirs is left, never the other way round.
    owner = models.ForeignKey("clients.Client", on_delete=models.PROTECT, related_name="+")
    status = models.CharField(max_length=16, choices=Status, default=Status.QUEUED)
    created_at = models.DateTimeField(default=timezone.now)
    processed_at = models.DateTimeField(null=True, blank=True)

    image = models.FileField(upload_to=original_path, max_length=200)
    sha256 = models.CharField(max_length=64)
    size_bytes = models.PositiveBigIntegerField()

    attempts = models.PositiveIntegerField(default=0)
    due_at = models.DateTimeField(default=timezone.now)
    claimed_by = models.CharField(max_length=200, blank=True)
    claimed_until = models.DateTimeField(null=True, blank=True)

    analysis = models.ForeignKey(
        "analysis.Analysis", on_delete=models.SET_NULL, null=True, blank=True
    )
    faces_count = models.PositiveIntegerField(default=0)
    result = models.FileField(upload_to=result_path, max_length=200, blank=True)
    reason = models.CharField(max_length=500, blank=True)
    event_id = models.CharField(max_length=50, blank=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=Status.values), name="submission_status_known"
            ),
            # An outcome without its time could not be told to anyone.
            models.CheckConstraint(
                condition=Q(processed_at__isnull=False)
                | ~Q(status__in=[Status.DONE, Status.FAILED]),
                name="submission_ended_has_time",
            ),
        ]
        indexes = [
            # The sweep asks for what is due, and for what is in work, every few seconds.
            models.Index(
                fields=["due_at"], condition=Q(status=Status.QUEUED), name="submission_due"
            ),
            models.Index(
                fields=["claimed_until"],
                condition=Q(status=Status.PROCESSING),
                name="submission_in_work",
            ),
            # …and for outcomes that nobody was told yet.
            models.Index(
                fields=["processed_at"],
                condition=Q(event_id="", processed_at__isnull=False),
                name="submission_untold",
            ),
            # Outcomes are told again after Redis was emptied, the newest only.
            models.Index(fields=["processed_at"], name="submission_processed"),
            # How many images of one client wait is asked at each of their uploads.
            models.Index(
                fields=["owner"],
                condition=Q(status__in=[Status.QUEUED, Status.PROCESSING]),
                name="submission_pending",
            ),
            # "Had this client these bytes before?" is asked of every image.
            models.Index(fields=["owner", "sha256"], name="submission_owner_bytes"),
            # Retention deletes by age.
            models.Index(fields=["created_at"], name="submission_created"),
        ]

    def __str__(self) -> str:
        return f"{self.id} ({self.status})"

    @classmethod
    def claim(cls, id: str, *, holder: str, lease: timedelta) -> "Submission | None":
        """QUEUED → PROCESSING, for one holder only; None if it is not due or somebody else's."""
        now = timezone.now()
        due = cls.objects.filter(pk=id, status=Status.QUEUED, due_at__lte=now)
        claim = {"claimed_by": holder, "claimed_until": now + lease}
        if not due.update(status=Status.PROCESSING, attempts=F("attempts") + 1, **claim):
            return None
        return cls.objects.filter(pk=id, claimed_by=holder).first()

    def requeue(self, *, due_at: datetime) -> bool:
        """PROCESSING → QUEUED until `due_at`; False if the claim is no longer ours."""
        return self._leave(status=Status.QUEUED, due_at=due_at)

    def complete(self, *, analysis_id: int, faces_count: int, result: str) -> bool:
        """PROCESSING → DONE; False if the claim is no longer ours."""
        return self._leave(
            status=Status.DONE,
            processed_at=timezone.now(),
            analysis_id=analysis_id,
            faces_count=faces_count,
            result=result,
        )

    def fail(self, reason: str) -> bool:
        """PROCESSING → FAILED; False if the claim is no longer ours."""
        return self._leave(status=Status.FAILED, processed_at=timezone.now(), reason=reason[:500])

    def _leave(self, **changes: Any) -> bool:
        ours = Submission.objects.filter(
            pk=self.pk, status=Status.PROCESSING, claimed_by=self.claimed_by
        )
        if not ours.update(**changes, claimed_by="", claimed_until=None):
            return False
        self.refresh_from_db()
        return True
