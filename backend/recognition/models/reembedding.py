"""Moves of galleries to another model."""

from django.db import models
from django.utils import timezone

from backend.analysis.fields import EncodingField
from backend.recognition.models.galleries import Face, User


class Reembedding(models.Model):
    """A user's move to another model: begun ──all faces have a new encoding──▶ switched."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="reembeddings")
    model = models.CharField(max_length=64)
    created_at = models.DateTimeField(default=timezone.now)
    switched_at = models.DateTimeField(null=True, blank=True)
    # Reasons, by the ids of faces whose images are not available any more.
    unobtainable = models.JSONField(default=dict, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "model"], name="reembedding_once"),
        ]

    def __str__(self) -> str:
        return f"user {self.user_id} to {self.model}"


class OtherEncoding(models.Model):
    """A face's encoding by another model than that of its row.

    Before the switch it is the new model's, and inactive. After it, it is the old model's, and
    active: processes that still run the old model match it.
    """

    face = models.ForeignKey(Face, on_delete=models.CASCADE, related_name="other_encodings")
    model = models.CharField(max_length=64)
    encoding = EncodingField(any_size=True)
    is_active = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["face", "model"], name="other_encoding_once"),
        ]

    def __str__(self) -> str:
        return f"face {self.face_id} by {self.model}"
