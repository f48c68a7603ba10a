"""Webhooks of clients, and what is to be sent to them.

A delivery stores no data of an image or a face, only the id of what ended: the body is made when it
is sent, so that nothing is sent of what was deleted meanwhile.
"""

import uuid
from typing import Final

from django.db import models
from django.db.models import Q
from django.utils import timezone

from backend.common.jobs import queues
from backend.common.jobs.models import Job, Status, job_constraints, job_indexes

MAX_URL_CHARS: Final = 2000


class Event(models.TextChoices):
    """What a webhook is sent, by the names that its bodies have as `type`."""

    SUBMISSION_ENDED = "submission.ended"
    PERSON_RECOGNISED = "person.recognised"
    PING = "ping"


REQUESTABLE: Final = (Event.SUBMISSION_ENDED, Event.PERSON_RECOGNISED)
"""The events that a client chooses from; a ping is sent on request."""


class Subject(models.TextChoices):
    """What ended."""

    SUBMISSION = "submission"
    OPERATION = "operation"
    NONE = "none"


class Webhook(Job):
    """A URL of a client that gets events. As a job it is the sending of what waits for it.

    DONE: nothing waits. QUEUED: something does, and is sent from `due_at` on. FAILED: the server
    refused it too often; the next event, or a retry, begins again. One worker at a time sends, so
    that a server gets its events in order and a silent one holds no second worker.
    """

    queue = queues.UPLOADS
    task = "backend.webhooks.tasks.send"
    on_failed = "backend.webhooks.services.give_up"
    fair_by = "owner_id"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey("clients.Client", on_delete=models.PROTECT, related_name="+")
    url = models.CharField(max_length=MAX_URL_CHARS)
    events = models.JSONField(default=list)
    # The gallery in which the faces of uploads are looked for; None: in none.
    user_id = models.BigIntegerField(null=True, blank=True)
    registered_at = models.DateTimeField(default=timezone.now)
    last_sent_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["registered_at"]
        constraints = job_constraints("webhook")
        indexes = [
            *job_indexes("webhook", fair_by="owner"),
            # The dashboard shows the newest that failed.
            models.Index(
                fields=["processed_at"], condition=Q(status=Status.FAILED), name="webhook_failed"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.id} ({self.status})"

    def events_of(self, subject: Subject, user_id: int | None) -> list[Event]:
        """The events that the end of a `subject` is to this webhook.

        Of an operation `user_id` is the gallery in which it recognised faces.
        """
        if subject == Subject.SUBMISSION:
            recognises = self.user_id is not None
            caused = [Event.SUBMISSION_ENDED, *([Event.PERSON_RECOGNISED] if recognises else [])]
        else:
            caused = [Event.PERSON_RECOGNISED] if self.user_id in (None, user_id) else []
        return [event for event in caused if event in self.events]


class Delivery(models.Model):
    """One event for one webhook."""

    # Random, and the same in each attempt: a receiver knows a repeat by it.
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="deliveries")
    event = models.CharField(max_length=32, choices=Event)
    subject = models.CharField(max_length=16, choices=Subject)
    subject_id = models.UUIDField()
    ended_at = models.DateTimeField()
    created_at = models.DateTimeField(default=timezone.now)
    is_waiting = models.BooleanField(default=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    # Of the last attempt that failed.
    reason = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["created_at"]
        constraints = [
            # An end is reported again where that is not known to have worked.
            models.UniqueConstraint(
                fields=["webhook", "event", "subject_id", "ended_at"], name="delivery_once"
            ),
        ]
        indexes = [
            models.Index(
                fields=["webhook", "created_at"],
                condition=Q(is_waiting=True),
                name="delivery_waiting",
            ),
            # Deletion by age, and with what it is about.
            models.Index(fields=["created_at"], name="delivery_created"),
            models.Index(fields=["subject_id"], name="delivery_subject"),
        ]

    def __str__(self) -> str:
        return f"{self.event} {self.id}"
