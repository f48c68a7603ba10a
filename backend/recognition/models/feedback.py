"""Feedback of clients on answers."""

from django.db import models
from django.utils import timezone

from backend.recognition.models.galleries import Contact, User


class Feedback(models.Model):
    """A client's latest verdict on one recognition. It is deleted with its contacts.

    A wrong answer without a true contact leaves the truth unknown.
    """

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="feedback")
    # The operation's id. Its row is deleted by age, this one is not.
    answer_id = models.UUIDField()
    is_right = models.BooleanField()
    # The contact that the answer named first; null if it named none.
    named = models.ForeignKey(Contact, on_delete=models.CASCADE, null=True, related_name="+")
    is_truth_known = models.BooleanField()
    # The true contact; null also if the person is known to be no contact of the user.
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
