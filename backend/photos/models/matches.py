"""Which members are on which photos: computed matches, and what people say about them."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone

from backend.common.jobs import queues
from backend.common.jobs.models import Job, job_constraints, job_indexes


class Matching(Job):
    """A job: compare a photo with all references, or a reference with all photos.

    Inserted in the transaction that inserts the encodings, so none is left out. A worker claims it
    after that commit; so of a photo and a reference that are recorded at the same time, at least
    one job sees the other's encoding. Deleted when it is done.
    """

    # It takes milliseconds, and a member may be waiting at the page.
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

    Not all are shown: `member_photos` leaves out inactive references and rejected matches.
    """

    # No index of its own: the unique constraint and the index below begin with it.
    reference = models.ForeignKey(
        "photos.Reference", on_delete=models.CASCADE, related_name="matches", db_index=False
    )
    face = models.ForeignKey("photos.PhotoFace", on_delete=models.CASCADE, related_name="matches")
    # The face's photo, so that a member's photos are found in one index.
    photo = models.ForeignKey("photos.Photo", on_delete=models.CASCADE, related_name="matches")
    distance = models.FloatField()

    class Meta:
        verbose_name_plural = "matches"
        constraints = [
            # A pair is one row, however often it is found.
            models.UniqueConstraint(fields=["reference", "face"], name="match_once"),
        ]
        indexes = [
            # "Photos of me" and their faces, from the index alone.
            models.Index(fields=["reference", "photo", "face"], name="match_photos"),
        ]

    def __str__(self) -> str:
        return f"face {self.face_id} at {self.distance:.3f} of reference {self.reference_id}"


class MatchRejection(models.Model):
    """ "This is not me": a member rejects a face, or a photo where no face is known.

    It concerns the member and not a reference, so it also holds for later references. When faces
    are extracted again, their rows are replaced, and the rejection then holds for the photo.
    """

    member = models.ForeignKey("photos.Member", on_delete=models.CASCADE, related_name="+")
    photo = models.ForeignKey("photos.Photo", on_delete=models.CASCADE, related_name="+")
    face = models.ForeignKey(
        "photos.PhotoFace", on_delete=models.SET_NULL, null=True, related_name="+"
    )
    said_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            # Several rows without a face are possible, after a photo was extracted again.
            models.UniqueConstraint(
                fields=["member", "face"],
                condition=Q(face__isnull=False),
                name="match_rejection_once",
            ),
        ]
        indexes = [models.Index(fields=["member", "photo"], name="match_rejection_on_photo")]

    def __str__(self) -> str:
        return f"member {self.member_id} is not on photo {self.photo_id}"


class RejectedImage(models.Model):
    """A rejection by the bytes of its photo, for copies in other albums and uploaded later.

    It outlives the photo, and goes with the rejection or the member's consent.
    """

    member = models.ForeignKey("photos.Member", on_delete=models.CASCADE, related_name="+")
    sha256 = models.CharField(max_length=64)
    # Index and box of the face: the same bytes give the same. Null: the whole photo.
    face = models.JSONField(null=True)

    class Meta:
        indexes = [models.Index(fields=["sha256"], name="rejected_image_by_bytes")]

    def __str__(self) -> str:
        return f"member {self.member_id} is not on {self.sha256}"


class ManualTag(models.Model):
    """A member was tagged on a photo by hand, because the face was not detected or matched."""

    member = models.ForeignKey("photos.Member", on_delete=models.CASCADE, related_name="+")
    photo = models.ForeignKey("photos.Photo", on_delete=models.CASCADE, related_name="+")
    # Where one was pointed at. After a new extraction the tag is of the photo.
    face = models.ForeignKey(
        "photos.PhotoFace", on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    said_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["member", "photo"], name="manual_tag_once"),
        ]

    def __str__(self) -> str:
        return f"member {self.member_id} is on photo {self.photo_id}"
