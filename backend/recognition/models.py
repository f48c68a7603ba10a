"""Galleries: users, their contacts, the contacts' faces; and the calls that change them."""

import uuid

from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from backend.analysis.fields import EncodingField
from backend.common.jobs import queues, work
from backend.common.jobs.work import Status, Work

OPEN = Q(status__in=[Status.QUEUED, Status.PROCESSING])
"""Operations that have not ended."""


class User(models.Model):
    """One gallery of a client, by the number that the client gave it.

    The row comes with the first call that names the number, `exists` with the first face. It is the
    lock under which calls are put in order and galleries changed.
    """

    # PROTECT: a client goes when nothing of theirs is left, never the other way round.
    owner = models.ForeignKey("clients.Client", on_delete=models.PROTECT, related_name="+")
    user_id = models.BigIntegerField()
    exists = models.BooleanField(default=False)
    # Raised in the transaction of every change: who keeps a copy of the gallery looks at it first.
    gallery_version = models.PositiveBigIntegerField(default=0)
    accepted_seq = models.PositiveBigIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["owner", "user_id"], name="recognition_user_once"),
        ]

    def __str__(self) -> str:
        return f"user {self.user_id} of client {self.owner_id}"


class Contact(models.Model):
    """Somebody that a user knows."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="contacts")
    contact_id = models.BigIntegerField()
    name = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "contact_id"], name="contact_once"),
        ]

    def __str__(self) -> str:
        return f"contact {self.contact_id} ({self.name})" if self.name else str(self.contact_id)


class FaceManager(models.Manager["Face"]):
    """Rows come without their encodings, which are several times as large as all the rest."""

    def get_queryset(self) -> models.QuerySet["Face"]:
        return super().get_queryset().defer("encoding")

    def with_encodings(self) -> models.QuerySet["Face"]:
        return super().get_queryset()


class Face(models.Model):
    """A face of a contact. Its id is never given to another: both databases only count upwards."""

    contact = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="faces")
    # The contact's, once more: a gallery is read by its user alone.
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="faces")
    face_id = models.BigIntegerField()
    # Empty where bytes were sent instead.
    face_url = models.TextField(blank=True)
    external_id = models.BigIntegerField(null=True, blank=True)
    score = models.FloatField()
    is_face = models.BooleanField()
    # Its type says it is always there: true where `is_face` is.
    encoding = EncodingField(null=True)  # type: ignore[misc]
    model = models.CharField(max_length=64, blank=True)
    # Of the image's bytes, which are not kept: who has the URL has the image.
    sha256 = models.CharField(max_length=64, blank=True)
    # Among the best FACES_GALLERY_FACES_PER_CONTACT of its contact: only these are matched.
    used = models.BooleanField(default=False)
    # What is worth knowing of the image, such as that it showed several faces.
    note = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    objects = FaceManager()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["contact", "face_id"], name="gallery_face_once"),
            # An encoding without a face, or a face that cannot be compared, would be a lie.
            models.CheckConstraint(
                condition=Q(is_face=True, encoding__isnull=False)
                | Q(is_face=False, encoding__isnull=True),
                name="gallery_face_has_encoding",
            ),
            models.CheckConstraint(
                condition=Q(used=False) | Q(is_face=True), name="gallery_face_used_is_face"
            ),
        ]
        indexes = [
            # A gallery is read whole, and looked through for what is new without its encodings.
            models.Index(fields=["user", "model"], condition=Q(used=True), name="gallery_used"),
            # The best of a contact are sought after every change.
            models.Index(fields=["contact", "-score", "id"], name="gallery_best"),
        ]

    def __str__(self) -> str:
        return f"face {self.pk}"


class Kind(models.TextChoices):
    """What a call asks for."""

    ADD = "add"
    DELETE = "delete"
    DELETE_CONTACT = "delete_contact"
    DELETE_USER = "delete_user"
    MERGE = "merge"
    MOVE = "move"
    RENAME = "rename"
    RECOGNISE = "recognise"


READING = (Kind.RECOGNISE,)
"""Kinds that change nothing: they wait for the changes before them, and not for each other."""


class Operation(Work):
    """One accepted command on a user: number `sequence` in that user's order.

    QUEUED ──claimed, images fetched and encoded──▶ QUEUED, prepared
           ──unblocked, claimed, applied to the gallery──▶ DONE

    Operations of one user are prepared side by side and applied in the order of their sequence: a
    change is blocked by every open operation before it, a read (`READING`) only by the open changes
    before it. A blocked operation is not claimable. Once unblocked it stays so, because later
    operations have higher numbers. The effect, its result and DONE are one transaction.

    Until `awaited_until` a read is reserved for the process of its caller, which waits for the
    result and has the gallery in memory.
    """

    queue = queues.INTERACTIVE
    task = "backend.recognition.tasks.carry_out"

    # Random and not counted up: whoever knows one id must not be able to tell another.
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey("clients.Client", on_delete=models.PROTECT, related_name="+")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="operations")
    sequence = models.PositiveBigIntegerField()
    kind = models.CharField(max_length=16, choices=Kind)
    contact_id = models.BigIntegerField(null=True, blank=True)
    # Emptied at the end: what remains to be said is in the result.
    arguments = models.JSONField(default=dict, blank=True)
    result = models.JSONField(null=True, blank=True)
    prepared_at = models.DateTimeField(null=True, blank=True)
    awaited_until = models.DateTimeField(null=True, blank=True)
    # Whoever called has gone away with its address: the end is told on the feed.
    followed = models.BooleanField(default=False)
    event_id = models.CharField(max_length=50, blank=True)

    class Meta:
        ordering = ["user", "sequence"]
        constraints = [
            *work.constraints("operation"),
            models.UniqueConstraint(fields=["user", "sequence"], name="operation_in_order"),
            models.CheckConstraint(condition=Q(kind__in=Kind.values), name="operation_kind_known"),
        ]
        indexes = [
            *work.indexes("operation"),
            # Whose turn it is, is asked before each effect.
            models.Index(fields=["user", "sequence"], condition=OPEN, name="operation_open"),
            # How many of one client wait is asked before another is taken.
            models.Index(fields=["owner"], condition=OPEN, name="operation_pending"),
            # Outcomes that nobody was told yet are looked for by the sweep.
            models.Index(
                fields=["processed_at"],
                condition=Q(followed=True, event_id="", processed_at__isnull=False),
                name="operation_untold",
            ),
            # They are deleted by age.
            models.Index(fields=["processed_at"], name="operation_ended"),
            # What a deletion leaves behind in earlier answers is looked for by contact.
            models.Index(fields=["user", "contact_id"], name="operation_contact"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.sequence} ({self.status})"

    @classmethod
    def claimable(cls) -> models.QuerySet["Operation"]:
        """Due; and not prepared yet, or unblocked and not reserved."""
        reserved = Q(kind__in=READING, awaited_until__gt=timezone.now())
        applicable = _unblocked() & ~Q(prepared_at=None) & ~reserved
        return super().claimable().filter(Q(prepared_at=None) | applicable)

    @classmethod
    def reserved(cls) -> models.QuerySet["Operation"]:
        """Prepared, unblocked reads that their callers' processes are to apply."""
        prepared = super().claimable().filter(_unblocked(), prepared_at__isnull=False)
        return prepared.filter(kind__in=READING, awaited_until__gt=timezone.now())

    @property
    def has_ended(self) -> bool:
        return self.status in (Status.DONE, Status.FAILED)

    def fail(self, reason: str) -> bool:
        """As all work; each face of the call is an error then."""
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
    """An image of an open operation, and what has become of it; gone when the operation ends."""

    operation = models.ForeignKey(Operation, on_delete=models.CASCADE, related_name="images")
    position = models.PositiveIntegerField()
    sha256 = models.CharField(max_length=64, blank=True)
    # Keeps the analysis from being deleted as nobody's while the operation is open.
    analysis = models.ForeignKey(
        "analysis.Analysis", on_delete=models.SET_NULL, null=True, blank=True
    )
    # Why there is no face to be had from it.
    reason = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["operation", "position"], name="operation_image_once"),
        ]

    def __str__(self) -> str:
        return f"image {self.position} of {self.operation_id}"


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


class Reembedding(models.Model):
    """One user's move to another model: begun ──all faces have a new encoding──▶ switched."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="reembeddings")
    model = models.CharField(max_length=64)
    created_at = models.DateTimeField(default=timezone.now)
    switched_at = models.DateTimeField(null=True, blank=True)
    # By the ids of faces that cannot be had again, why.
    unobtainable = models.JSONField(default=dict, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "model"], name="reembedding_once"),
        ]

    def __str__(self) -> str:
        return f"user {self.user_id} to {self.model}"


class OtherEncoding(models.Model):
    """A face's encoding by another model than that of its row.

    Until the switch it is the new model's, and matched with nothing; after it the old one's, by
    which processes that still run the old model go on answering.
    """

    face = models.ForeignKey(Face, on_delete=models.CASCADE, related_name="other_encodings")
    model = models.CharField(max_length=64)
    encoding = EncodingField()
    is_matched = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["face", "model"], name="other_encoding_once"),
        ]

    def __str__(self) -> str:
        return f"face {self.face_id} by {self.model}"
