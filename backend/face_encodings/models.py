"""The images that a client requested the encodings of, and the sums of their encodings."""

from typing import Final

from django.db import models
from django.db.models import Q
from django.utils import timezone

from backend.analysis.fields import MOST_DIMENSIONS

DLIB: Final = "dlib_face_recognition_resnet_model_v1"
"""The model of counters that are older than the choice of another: `analysis.services.DLIB`."""

SUMS_BYTES: Final = MOST_DIMENSIONS * 8
"""At most: a little-endian int64 for each number of an encoding; `statistics` says of what."""


class EncodedImage(models.Model):
    """The bytes that one client sent, by their hash. The bytes themselves are not kept.

    A request that names another detector than that of the service's encodings has a row of its own,
    so results of two detectors are never mixed. Statistics count the service's rows alone.

    Open ──its analysis is done──▶ completed, and counted if there is a face in it.
    """

    # PROTECT: a client is deleted after its data, never the other way round.
    owner = models.ForeignKey("clients.Client", on_delete=models.PROTECT, related_name="+")
    sha256 = models.CharField(max_length=64)
    # Empty: the service's.
    detector = models.CharField(max_length=16, blank=True, default="", db_default="")
    # Only an open one can lose its analysis; its bytes have to be sent again then.
    analysis = models.ForeignKey(
        "analysis.Analysis", on_delete=models.SET_NULL, null=True, blank=True
    )
    created_at = models.DateTimeField(default=timezone.now)
    completed_at = models.DateTimeField(null=True, blank=True)
    faces_count = models.PositiveIntegerField(default=0)
    made_by = models.CharField(max_length=120, blank=True)

    class Meta:
        constraints = [
            # Simultaneous posts of the same bytes are one row, and so counted once.
            models.UniqueConstraint(
                fields=["owner", "sha256", "detector"], name="encoded_image_by_detector"
            ),
            # A deletion subtracts the encoding that was counted, so it has to be found.
            models.CheckConstraint(
                condition=Q(completed_at=None) | Q(analysis__isnull=False),
                name="encoded_image_completed_has_analysis",
            ),
        ]
        indexes = [
            # The sweep looks for open images, the oldest first.
            models.Index(
                fields=["created_at"], condition=Q(completed_at=None), name="encoded_image_open"
            ),
            # Each upload counts the open images of its client.
            models.Index(
                fields=["owner"], condition=Q(completed_at=None), name="encoded_image_pending"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.sha256[:12]} of client {self.owner_id}"


def no_sums() -> bytes:
    """Of dlib's encodings."""
    return bytes(128 * 8)


class StatisticsCounter(models.Model):
    """The number of a client's images with a face, and the sum of their first encodings.

    Of one model each: encodings of two are not added up.
    """

    owner = models.ForeignKey("clients.Client", on_delete=models.PROTECT, related_name="+")
    model = models.CharField(max_length=64, default=DLIB, db_default=DLIB)
    images = models.BigIntegerField(default=0)
    sums = models.BinaryField(max_length=SUMS_BYTES, default=no_sums)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["owner", "model"], name="statistics_counter_by_model")
        ]

    def __str__(self) -> str:
        return f"{self.images} images of client {self.owner_id} by {self.model}"
