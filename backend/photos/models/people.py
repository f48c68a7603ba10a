"""Faces that match no member, and the groups of them."""

from __future__ import annotations

from typing import Final

from django.db import models
from django.db.models import Q
from django.utils import timezone

from backend.common.jobs import queues
from backend.common.jobs.models import Job, job_constraints, job_indexes

CLUSTERING_JOB_ID: Final = 1
"""`ClusteringJob` has one row, so one worker at a time clusters."""


class PersonQuerySet(models.QuerySet["Person"]):
    def claimed(self) -> PersonQuerySet:
        """Groups that belong to a member: the member agreed, and staff confirmed it."""
        both = Q(agreed_at__isnull=False, confirmed_at__isnull=False)
        return self.filter(both, member__isnull=False)


class Person(models.Model):
    """A group of faces that seem to be one person's.

    unknown ──claim: the member says "that is me"──▶ agreed ───confirm, by staff──▶ claimed
        └─────offer: staff says "that is them"─────▶ offered ──agree, by the member───┘
    """

    class ClaimStatus(models.TextChoices):
        """How far a group is on its way to a member."""

        UNKNOWN = "unknown"
        AGREED = "agreed"
        OFFERED = "offered"
        CLAIMED = "claimed"

    name = models.CharField(max_length=100, blank=True)
    hidden = models.BooleanField(default=False)
    member = models.ForeignKey(
        "photos.Member", on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    agreed_at = models.DateTimeField(null=True, blank=True)
    confirmed_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    objects = PersonQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "people"
        ordering = ["pk"]

    def __str__(self) -> str:
        return self.name or f"person {self.pk}"

    @property
    def claim_status(self) -> ClaimStatus:
        if self.member_id is None:
            return self.ClaimStatus.UNKNOWN
        if self.agreed_at and self.confirmed_at:
            return self.ClaimStatus.CLAIMED
        return self.ClaimStatus.AGREED if self.agreed_at else self.ClaimStatus.OFFERED


class UnknownFace(models.Model):
    """A face that matches no member. Stored only with FACES_GROUP_UNKNOWN.

    It waits to be clustered; then it is in a group, or in none so far. A pinned face was put there
    by a person, and clustering does not move it.
    """

    face = models.OneToOneField(
        "photos.PhotoFace", on_delete=models.CASCADE, primary_key=True, related_name="unknown"
    )
    person = models.ForeignKey(
        Person, on_delete=models.SET_NULL, null=True, blank=True, related_name="faces"
    )
    is_pinned = models.BooleanField(default=False)
    is_clustered = models.BooleanField(default=False)
    # The key of the group that the last merge took it from, for its undo; that group is gone.
    merged_from = models.BigIntegerField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(is_pinned=False) | Q(is_clustered=True),
                name="unknown_face_pinned_is_clustered",
            ),
        ]
        indexes = [
            # What the next job clusters, in the order of the faces.
            models.Index(
                fields=["face"], condition=Q(is_clustered=False), name="unknown_face_to_cluster"
            ),
        ]

    def __str__(self) -> str:
        return f"face {self.face_id} of person {self.person_id}"


class ClusterExclusion(models.Model):
    """A face that was taken out of a group by hand: clustering must not put it back."""

    face = models.ForeignKey(
        "photos.PhotoFace", on_delete=models.CASCADE, related_name="+", db_index=False
    )
    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["face", "person"], name="cluster_exclusion_once"),
        ]

    def __str__(self) -> str:
        return f"face {self.face_id} is not of person {self.person_id}"


class ClusteringJob(Job):
    """A job: cluster the waiting faces. Two at a time could make two groups of one person."""

    queue = queues.UPLOADS
    task = "backend.photos.clustering.grouping.run"

    class Meta:
        constraints = [
            *job_constraints("clustering_job"),
            models.CheckConstraint(condition=Q(id=CLUSTERING_JOB_ID), name="clustering_job_is_one"),
        ]
        indexes = job_indexes("clustering_job")

    def __str__(self) -> str:
        return f"clustering: {self.status}"
