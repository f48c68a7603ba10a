"""Galleries: users, their contacts, and the contacts' faces."""

from django.db import models
from django.db.models import Q
from django.utils import timezone

from backend.analysis.fields import EncodingField


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
    is_indexed = models.BooleanField(default=False)
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
                condition=Q(is_indexed=False) | Q(is_face=True), name="gallery_face_indexed_is_face"
            ),
        ]
        indexes = [
            # A gallery is read whole, and looked through for what is new without its encodings.
            models.Index(
                fields=["user", "model"], condition=Q(is_indexed=True), name="gallery_indexed"
            ),
            # The best of a contact are sought after every change.
            models.Index(fields=["contact", "-score", "id"], name="gallery_best"),
        ]

    def __str__(self) -> str:
        return f"face {self.pk}"
