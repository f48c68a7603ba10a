"""Which images a client asked the encodings of, and the running sums of what was found."""

from typing import Final

from django.db import models
from django.db.models import Q
from django.utils import timezone

SUMS_BYTES: Final = 128 * 8
"""128 little-endian int64; `statistics` says of what."""


class EncodedImage(models.Model):
    """The bytes that one client sent, known by their hash. The bytes themselves are not kept.

    Asked for ──its analysis is done──▶ settled, and counted if there is a face in it.
    """

    # PROTECT: a client goes when nothing of theirs is left, never the other way round.
    owner = models.ForeignKey("clients.Client", on_delete=models.PROTECT, related_name="+")
    sha256 = models.CharField(max_length=64)
    # Only one that is not settled can lose its analysis: then its bytes are sent again.
    analysis = models.ForeignKey(
        "analysis.Analysis", on_delete=models.SET_NULL, null=True, blank=True
    )
    created_at = models.DateTimeField(default=timezone.now)
    settled_at = models.DateTimeField(null=True, blank=True)
    faces_count = models.PositiveIntegerField(default=0)
    made_by = models.CharField(max_length=120, blank=True)

    class Meta:
        constraints = [
            # However many post the same bytes at once: one row, and so one count.
            models.UniqueConstraint(fields=["owner", "sha256"], name="encoded_image_once"),
            # What was counted must be found again when it is deleted.
            models.CheckConstraint(
                condition=Q(settled_at=None) | Q(analysis__isnull=False),
                name="encoded_image_settled_has_analysis",
            ),
        ]
        indexes = [
            # The sweep looks for what nobody waited for.
            models.Index(
                fields=["created_at"], condition=Q(settled_at=None), name="encoded_image_unsettled"
            ),
            # How many of one client wait is asked before another is taken.
            models.Index(
                fields=["owner"], condition=Q(settled_at=None), name="encoded_image_pending"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.sha256[:12]} of client {self.owner_id}"


class Tally(models.Model):
    """So many images more (or fewer, below 0) of a client, and the sums of their encodings.

    A client's statistics are the sum of its rows: written one an image, folded into one behind.
    """

    owner = models.ForeignKey("clients.Client", on_delete=models.PROTECT, related_name="+")
    images = models.BigIntegerField()
    sums = models.BinaryField(max_length=SUMS_BYTES)

    class Meta:
        verbose_name_plural = "tallies"
        # Everything asks for the rows of one owner, oldest first; the foreign key has its index.

    def __str__(self) -> str:
        return f"{self.images:+d} of client {self.owner_id}"
