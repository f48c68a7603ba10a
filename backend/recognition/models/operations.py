"""Accepted commands on galleries, and their images."""

import uuid

from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from backend.common.jobs import queues
from backend.common.jobs.models import Job, Status, job_constraints, job_indexes
from backend.recognition.models.galleries import User

OPEN = Q(status__in=[Status.QUEUED, Status.PROCESSING])
"""Operations that have not ended."""


class Kind(models.TextChoices):
    """The kind of command."""

    ADD = "add"
    DECIDE = "decide"
    DELETE = "delete"
    DELETE_CONTACT = "delete_contact"
    DELETE_USER = "delete_user"
    MERGE = "merge"
    MOVE = "move"
    RENAME = "rename"
    REJECT = "reject"
    UNREJECT = "unreject"
    IMPORT = "import"
    UNDO = "undo"
    RECOGNISE = "recognise"


READING = (Kind.RECOGNISE,)
"""Kinds that change nothing: they wait for the changes before them, and not for each other."""

ENROLLING = (Kind.ADD, Kind.DECIDE)
"""Kinds that store faces of images, for which a worker cuts crops."""

DELETIONS = (Kind.DELETE, Kind.DELETE_CONTACT, Kind.DELETE_USER)


class Operation(Job):
    """One accepted command on a user: number `sequence` in that user's order.

    QUEUED ──claimed, images fetched and encoded──▶ QUEUED, prepared
           ──unblocked, claimed, applied to the gallery──▶ DONE

    Operations of one user are prepared side by side and applied in the order of their sequence: a
    change is blocked by every open operation before it, a read (`READING`) only by the open changes
    before it. A blocked operation is not claimable. Once unblocked it stays so, because later
    operations have higher numbers. The effect, its result and DONE are one transaction.

    An import is accepted only where nothing is open before it, so it is never blocked. It is not
    prepared: a worker stores it in many short transactions (`operations.imports`).

    Until `caller_waits_until` a read is reserved for the process of its caller, which waits for the
    result and has the gallery in memory.
    """

    queue = queues.INTERACTIVE
    task = "backend.recognition.tasks.execute"
    on_failed = "backend.recognition.operations.executor.on_end"
    # Preparing takes long; it is applied in the order of its user, at once when it is unblocked.
    fair_by = "owner_id"
    takes_turns = "prepared_at IS NULL"

    # Random, because an id must not reveal another.
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey("clients.Client", on_delete=models.PROTECT, related_name="+")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="operations")
    sequence = models.PositiveBigIntegerField()
    kind = models.CharField(max_length=16, choices=Kind)
    contact_id = models.BigIntegerField(null=True, blank=True)
    # Emptied at the end.
    arguments = models.JSONField(default=dict, blank=True)
    result = models.JSONField(null=True, blank=True)
    # The uploaded file of an import, in the media storage until the end.
    file_name = models.CharField(max_length=200, blank=True)
    prepared_at = models.DateTimeField(null=True, blank=True)
    caller_waits_until = models.DateTimeField(null=True, blank=True)
    # The caller got 202 and the operation's URL, so its end is published as an event.
    notify_on_end = models.BooleanField(default=False)
    event_id = models.CharField(max_length=50, blank=True)

    class Meta:
        ordering = ["user", "sequence"]
        constraints = [
            *job_constraints("operation"),
            models.UniqueConstraint(fields=["user", "sequence"], name="operation_in_order"),
            models.CheckConstraint(condition=Q(kind__in=Kind.values), name="operation_kind_known"),
        ]
        indexes = [
            *job_indexes("operation", fair_by="owner", turns_of=Q(prepared_at=None)),
            # For `_unblocked`, of each claim.
            models.Index(fields=["user", "sequence"], condition=OPEN, name="operation_open"),
            # For the limit of open operations of a client.
            models.Index(fields=["owner"], condition=OPEN, name="operation_pending"),
            # For the sweep, which publishes events that could not be published.
            models.Index(
                fields=["processed_at"],
                condition=Q(notify_on_end=True, event_id="", processed_at__isnull=False),
                name="operation_unpublished",
            ),
            # For the sweep, which deletes what ended imports left.
            models.Index(
                fields=["file_name"], condition=~Q(file_name=""), name="operation_with_file"
            ),
            # For deletion by age.
            models.Index(fields=["processed_at"], name="operation_ended"),
            # For deletions, which redact earlier results by contact.
            models.Index(fields=["user", "contact_id"], name="operation_contact"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.sequence} ({self.status})"

    @classmethod
    def claimable(cls) -> models.QuerySet["Operation"]:
        """Due; and not prepared yet, or unblocked and not reserved."""
        reserved = Q(kind__in=READING, caller_waits_until__gt=timezone.now())
        applicable = _unblocked() & ~Q(prepared_at=None) & ~reserved
        return super().claimable().filter(Q(prepared_at=None) | applicable)

    @classmethod
    def reserved(cls) -> models.QuerySet["Operation"]:
        """Prepared, unblocked reads that their callers' processes are to apply."""
        prepared = super().claimable().filter(_unblocked(), prepared_at__isnull=False)
        return prepared.filter(kind__in=READING, caller_waits_until__gt=timezone.now())

    @property
    def has_ended(self) -> bool:
        return self.status in (Status.DONE, Status.FAILED)

    def fail(self, reason: str) -> bool:
        """PROCESSING → FAILED, with each face of the command in `error`."""
        failed = {"status": Status.FAILED, "processed_at": timezone.now(), "reason": reason[:500]}
        errors = [{**face, "reason": reason} for face in self.arguments.get("faces", [])]
        return self._leave(**failed, arguments={}, result={"error": errors})

    def mark_prepared(self) -> bool:
        """PROCESSING → QUEUED, prepared: applying it has attempts of its own."""
        now = timezone.now()
        return self._leave(status=Status.QUEUED, prepared_at=now, due_at=now, attempts=0)


def _unblocked() -> Q:
    earlier = Operation.objects.filter(
        OPEN, user=OuterRef("user"), sequence__lt=OuterRef("sequence")
    ).order_by()
    changes, reads = earlier.exclude(kind__in=READING), earlier.filter(kind__in=READING)
    return Q(~Exists(changes)) & (Q(kind__in=READING) | Q(~Exists(reads)))


class OperationImage(models.Model):
    """An image of an open operation. It is deleted when the operation ends."""

    operation = models.ForeignKey(Operation, on_delete=models.CASCADE, related_name="images")
    position = models.PositiveIntegerField()
    sha256 = models.CharField(max_length=64, blank=True)
    # A reference, so that the analysis is not deleted while the operation is open.
    analysis = models.ForeignKey(
        "analysis.Analysis", on_delete=models.SET_NULL, null=True, blank=True
    )
    # The face that is meant, by its place among the image's; None: the largest, or all.
    face_index = models.PositiveIntegerField(null=True, blank=True)
    # The submitted image in the media storage, from which a crop is cut.
    source_name = models.CharField(max_length=200, blank=True)
    # A JPEG; on its way to the `FaceCrop`.
    crop = models.BinaryField(null=True, blank=True)
    # Why it cannot be analysed.
    reason = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["operation", "position"], name="operation_image_once"),
        ]

    def __str__(self) -> str:
        return f"image {self.position} of {self.operation_id}"
