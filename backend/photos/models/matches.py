"""Who is on which photo: pairs that were computed, and what people say about them."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone

from backend.common.jobs import queues
from backend.common.jobs.models import Job, job_constraints, job_indexes


class Matching(Job):
    """A photo or reference that is still to be compared with all of the other side.

    Written in the transaction that writes the encodings, so that none is without; and whoever
    claims it began after that was committed, so that of two sides that came at once at least one
    sees the other. Deleted in the end: what has none was compared.
    """

    # It takes milliseconds, and somebody may be looking at the page; an album waits in the other.
    queue = queues.INTERACTIVE
    task = "backend.photos.matching.jobs.run"
    on_failed = "backend.photos.matching.jobs.log_failure"

    photo = models.OneToOneField(
        "photos.Photo", on_delete=models.CASCADE, null=True, related_name="matching"
    )
    reference = models.OneToOneField(
        "photos.Reference", on_delete=models.CASCADE, null=True, related_name="matching"
    )

    class Meta:
        constraints = [
            *job_constraints("matching"),
            models.CheckConstraint(
                condition=Q(photo=None, reference__isnull=False)
                | Q(photo__isnull=False, reference=None),
                name="matching_of_one_side",
            ),
        ]
        indexes = job_indexes("matching")

    def __str__(self) -> str:
        side = f"photo {self.photo_id}" if self.photo_id else f"reference {self.reference_id}"
        return f"matching of {side}: {self.status}"


class Match(models.Model):
    """A face nearer to a reference than FACES_MATCH_DISTANCE: a fact about two encodings.

    Not all are shown: `matches` asks whether the reference still counts, and what people said.
    """

    # Its unique constraint below begins with it, and so does the index.
    reference = models.ForeignKey(
        "photos.Reference", on_delete=models.CASCADE, related_name="matches", db_index=False
    )
    face = models.ForeignKey("photos.PhotoFace", on_delete=models.CASCADE, related_name="matches")
    # The face's, to find a member's photos in one index.
    photo = models.ForeignKey("photos.Photo", on_delete=models.CASCADE, related_name="matches")
    distance = models.FloatField()

    class Meta:
        verbose_name_plural = "matches"
        constraints = [
            # However often and by how many workers a pair is found, it is one row.
            models.UniqueConstraint(fields=["reference", "face"], name="match_once"),
        ]
        indexes = [
            # "My photos", and which of their faces, without a look at the rows.
            models.Index(fields=["reference", "photo", "face"], name="match_photos"),
        ]

    def __str__(self) -> str:
        return f"face {self.face_id} at {self.distance:.3f} of reference {self.reference_id}"


class MatchRejection(models.Model):
    """A member is not this face; or, where that is not known, not on this photo at all.

    About the member and no reference of theirs, so that it holds for those to come. A face that is
    found anew is another row: what was said of it then holds for the photo.
    """

    member = models.ForeignKey("photos.Member", on_delete=models.CASCADE, related_name="+")
    photo = models.ForeignKey("photos.Photo", on_delete=models.CASCADE, related_name="+")
    face = models.ForeignKey(
        "photos.PhotoFace", on_delete=models.SET_NULL, null=True, related_name="+"
    )
    said_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            # Without a face there may be several: of a photo whose faces were found anew.
            models.UniqueConstraint(
                fields=["member", "face"],
                condition=Q(face__isnull=False),
                name="match_rejection_once",
            ),
        ]
        indexes = [models.Index(fields=["member", "photo"], name="match_rejection_on_photo")]

    def __str__(self) -> str:
        return f"member {self.member_id} is not on photo {self.photo_id}"


class ManualTag(models.Model):
    """A member is on a photo because somebody says so: a face that was not found or recognised."""

    member = models.ForeignKey("photos.Member", on_delete=models.CASCADE, related_name="+")
    photo = models.ForeignKey("photos.Photo", on_delete=models.CASCADE, related_name="+")
    said_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["member", "photo"], name="manual_tag_once"),
        ]

    def __str__(self) -> str:
        return f"member {self.member_id} is on photo {self.photo_id}"
