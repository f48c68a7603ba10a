"""Galleries: users, their contacts, and the contacts' faces."""

from django.db import models
from django.db.models import Q
from django.utils import timezone

from backend.analysis.fields import EncodingField


class User(models.Model):
    """One gallery of a client, under the client's number for it.

    The row is made by the first command with the number; `exists` is set by the first face. It is
    locked to put commands in order and to change the gallery.
    """

    # PROTECT, because a client is deleted only after all that it owns.
    owner = models.ForeignKey("clients.Client", on_delete=models.PROTECT, related_name="+")
    user_id = models.BigIntegerField()
    exists = models.BooleanField(default=False)
    # Raised in the transaction of every change; caches compare it before they answer.
    gallery_version = models.PositiveBigIntegerField(default=0)
    accepted_seq = models.PositiveBigIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        # As the glossary has it; accounts are Django's users.
        verbose_name = "gallery"
        verbose_name_plural = "galleries"
        constraints = [
            models.UniqueConstraint(fields=["owner", "user_id"], name="recognition_user_once"),
        ]

    def __str__(self) -> str:
        return f"user {self.user_id} of client {self.owner_id}"


class Contact(models.Model):
    """A person whom a user knows."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="contacts")
    contact_id = models.BigIntegerField()
    name = models.CharField(max_length=200, blank=True)
    # Of no interest: recognised, but not shown among the people, and never suggested.
    is_hidden = models.BooleanField(default=False, db_default=False)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "contact_id"], name="contact_once"),
        ]

    def __str__(self) -> str:
        return f"contact {self.contact_id} ({self.name})" if self.name else str(self.contact_id)


class FaceManager(models.Manager["Face"]):
    """Loads rows without encodings, which are larger than all the other columns."""

    def get_queryset(self) -> models.QuerySet["Face"]:
        return super().get_queryset().defer("encoding")

    def with_encodings(self) -> models.QuerySet["Face"]:
        return super().get_queryset()


class Face(models.Model):
    """A face of a contact. Its id is never used again: both databases only count upwards."""

    contact = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="faces")
    # The contact's user, so that a gallery is read by one index.
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="faces")
    face_id = models.BigIntegerField()
    # Empty if bytes were sent.
    face_url = models.TextField(blank=True)
    external_id = models.BigIntegerField(null=True, blank=True)
    score = models.FloatField()
    is_face = models.BooleanField()
    # Its type says that it is never None, which holds where `is_face` is true.
    encoding = EncodingField(null=True, any_size=True)  # type: ignore[misc]
    model = models.CharField(max_length=64, blank=True)
    # Of the image's bytes, which are not stored.
    sha256 = models.CharField(max_length=64, blank=True)
    # One of the best INDEXED_FACES of its contact: only these are matched.
    is_indexed = models.BooleanField(default=False)
    # A remark, for example that the image shows several faces.
    note = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    objects = FaceManager()

    class Meta:
        verbose_name = "enrolled face"
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["contact", "face_id"], name="gallery_face_once"),
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
            # For reading a gallery, and for its new faces without the encodings.
            models.Index(
                fields=["user", "model"], condition=Q(is_indexed=True), name="gallery_indexed"
            ),
            # For the best faces of a contact, after every change.
            models.Index(fields=["contact", "-score", "id"], name="gallery_best"),
        ]

    def __str__(self) -> str:
        return f"face {self.pk}"


class FaceCrop(models.Model):
    """The picture of a face that was enrolled from a submission, for people to look at.

    In the database, so that it is deleted in the transaction that deletes its face.
    """

    face = models.OneToOneField(
        Face, on_delete=models.CASCADE, primary_key=True, related_name="crop"
    )
    jpeg = models.BinaryField()

    def __str__(self) -> str:
        return f"crop of face {self.face_id}"


class Rejection(models.Model):
    """What a client said of a face of its image: it is not this contact's.

    It belongs to the face of the analysis, so it holds for every copy of those bytes, and is
    deleted with the last of them.
    """

    contact = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="rejections")
    face = models.ForeignKey("analysis.Face", on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["contact", "face"], name="rejection_once"),
        ]

    def __str__(self) -> str:
        return f"face {self.face_id} is not of contact {self.contact_id}"


class Distinct(models.Model):
    """What a client said of two contacts: they are two people. The smaller key is `contact`."""

    contact = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="+")
    other = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["contact", "other"], name="distinct_once"),
            models.CheckConstraint(
                condition=Q(contact__lt=models.F("other")), name="distinct_in_order"
            ),
        ]

    def __str__(self) -> str:
        return f"contacts {self.contact_id} and {self.other_id} are two people"
