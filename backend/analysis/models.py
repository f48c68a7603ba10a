"""The faces of an image, as facts about its bytes."""

from datetime import datetime, timedelta

from django.db import models
from django.utils import timezone

ENCODING_BYTES = 128 * 4
"""128 little-endian float32."""


class State(models.TextChoices):
    """An analysis is computed once.

    (none) ──claimed──▶ COMPUTING ──faces recorded──▶ DONE
                            └──failed, or its claim ran out──▶ (none), or claimed by another
    """

    COMPUTING = "computing"
    DONE = "done"


class Analysis(models.Model):
    """What one detector and one model make of one file's bytes."""

    sha256 = models.CharField(max_length=64)
    detector = models.CharField(max_length=16)
    detection_pixels = models.PositiveBigIntegerField()
    model = models.CharField(max_length=64)
    state = models.CharField(max_length=16, choices=State, default=State.COMPUTING)
    claimed_by = models.CharField(max_length=200, blank=True)
    claimed_until = models.DateTimeField(null=True, blank=True)
    faces_count = models.PositiveIntegerField(default=0)
    engine_s = models.FloatField(default=0.0)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name_plural = "analyses"
        constraints = [
            # This is what makes two workers with the same bytes compute them once.
            models.UniqueConstraint(
                fields=["sha256", "detector", "detection_pixels", "model"], name="analysis_once"
            ),
        ]
        indexes = [
            # The retention command looks for analyses of a certain age.
            models.Index(fields=["created_at"], name="analysis_created"),
        ]

    def __str__(self) -> str:
        return f"{self.sha256[:12]} by {self.detector}: {self.state}"

    def take_over(self, *, holder: str, lease: timedelta) -> bool:
        """Claim what another process left behind; False if somebody was faster."""
        left_behind = Analysis.objects.filter(
            pk=self.pk,
            state=State.COMPUTING,
            claimed_by=self.claimed_by,
            claimed_until=self.claimed_until,
        )
        return bool(left_behind.update(claimed_by=holder, claimed_until=timezone.now() + lease))

    def is_claimed(self, now: datetime) -> bool:
        return self.claimed_until is not None and self.claimed_until > now


class Face(models.Model):
    """One face. Boxes are pixels of the upright image; `right` and `bottom` lie just outside."""

    analysis = models.ForeignKey(Analysis, on_delete=models.CASCADE, related_name="faces")
    index = models.PositiveIntegerField()
    top = models.IntegerField()
    right = models.IntegerField()
    bottom = models.IntegerField()
    left = models.IntegerField()
    encoding = models.BinaryField(max_length=ENCODING_BYTES)
    score = models.FloatField()
    size_px = models.PositiveIntegerField()
    sharpness = models.FloatField()
    yaw = models.FloatField()
    roll = models.FloatField()
    too_poor = models.CharField(max_length=16, blank=True)

    class Meta:
        ordering = ["index"]
        constraints = [
            # The order is part of the result: "the first face" must be one face.
            models.UniqueConstraint(fields=["analysis", "index"], name="face_order"),
        ]

    def __str__(self) -> str:
        return f"face {self.index} of analysis {self.analysis_id}"
