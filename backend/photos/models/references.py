"""References: pictures of members' faces."""

from __future__ import annotations

from datetime import datetime

from django.db import models
from django.db.models import Q

from backend.analysis.fields import EncodingField
from backend.photos.models.members import Member
from backend.photos.models.sources import (
    Extraction,
    Source,
    source_constraints,
    source_indexes,
)


class ReferenceManager(models.Manager["Reference"]):
    """As `PhotoFaceManager`."""

    def get_queryset(self) -> models.QuerySet[Reference]:
        return super().get_queryset().defer("encoding")

    def with_encodings(self) -> models.QuerySet[Reference]:
        return super().get_queryset()

    def matching(self) -> models.QuerySet[Reference]:
        """Those that match photos: done, and not marked for deletion."""
        return self.get_queryset().filter(
            extraction=Extraction.DONE, marked_for_deletion_at__isnull=True
        )


class Reference(Source):
    """A picture of a member's face, by which their photos are found."""

    task = "backend.photos.tasks.process_reference"
    on_failed = "backend.photos.extraction.results.mark_failed"
    fair_by = "member_id"
    folder = "references"

    # PROTECT, because no database deletes files: a user is deleted after their references.
    member = models.ForeignKey(Member, on_delete=models.PROTECT, related_name="references")
    encoding = EncodingField(null=True)  # type: ignore[misc]  # None until it is extracted
    # Of a picture with several faces: their boxes, and the number of the one that is the member's.
    boxes = models.JSONField(default=list, blank=True)
    chosen = models.PositiveSmallIntegerField(null=True, blank=True)
    marked_for_deletion_at = models.DateTimeField(null=True, blank=True)

    objects = ReferenceManager()

    class Meta:
        ordering = ["-created_at", "-pk"]
        constraints = [
            *source_constraints("reference"),
            # A reference shows exactly one face.
            models.CheckConstraint(
                condition=~Q(extraction=Extraction.DONE) | Q(encoding__isnull=False),
                name="reference_done_has_encoding",
            ),
        ]
        indexes = [
            *source_indexes("reference", fair_by="member"),
            # For data minimisation, which erases those that were marked long ago.
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
