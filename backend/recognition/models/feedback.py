"""What clients report of answers."""

from django.db import models
from django.utils import timezone

from backend.recognition.models.galleries import Contact, User


class Feedback(models.Model):
    """What a client says of one answer to a recognition; said again, the last word counts.

    It goes with its contacts. That an answer was wrong does not tell who it was.
    """

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="feedback")
    # The recognition's, whose row is deleted by age while this stays.
    answer_id = models.UUIDField()
    is_right = models.BooleanField()
    # Whom the answer named first; empty where it said "unknown".
    named = models.ForeignKey(Contact, on_delete=models.CASCADE, null=True, related_name="+")
    is_truth_known = models.BooleanField()
    # Who it is; empty where that is known to be nobody of the user's contacts.
    truth = models.ForeignKey(Contact, on_delete=models.CASCADE, null=True, related_name="+")
    confidence = models.FloatField(default=0.0)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name_plural = "feedback"
        constraints = [
            models.UniqueConstraint(fields=["user", "answer_id"], name="feedback_once"),
        ]

    def __str__(self) -> str:
        return f"feedback on {self.answer_id}"
