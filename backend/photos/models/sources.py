"""A source: an image whose faces are to be found, be it a photo or a reference."""

from __future__ import annotations

import uuid
from typing import Final

from django.db import models
from django.db.models import Q

from backend.common.http.image_names import stored_extension
from backend.common.jobs import queues
from backend.common.jobs.models import Job, Status, job_constraints, job_indexes

WIDTHS_PX: Final = (300, 600, 1200)
"""Thumbnails: a tile, a tile on a dense screen, a photo that fills a page."""


class Extraction(models.TextChoices):
    """State of the face extraction of a photo or reference, as clients see it.

    PROCESSING ──recorded──▶ DONE
        ▲  ├────recorded, but unusable──▶ REJECTED   references only
        │  └────failed for good──▶ FAILED ──┐
        └──────resubmitted──────────────────┘

    `Job.status` beside it is the state of the worker's job only. A worker makes the pictures for
    the pages even if the faces are extracted elsewhere, or not at all.
    """

    PROCESSING = "processing"
    DONE = "done"
    REJECTED = "rejected"
    FAILED = "failed"


def original_path(source: Source, filename: str) -> str:
    return spread(f"{source.folder}_originals", source.key, f".{stored_extension(filename)}")


def picture_path(source: Source, filename: str) -> str:
    return spread(source.folder, source.key, ".jpg")


def spread(folder: str, key: uuid.UUID, ending: str) -> str:
    """`photos/72/46/7246f927-….jpg`: two levels keep a folder below some thousand files."""
    return f"{folder}/{str(key)[:2]}/{str(key)[2:4]}/{key}{ending}"


class Source(Job):
    """An image whose faces are to be found: by workers, by AWS Lambda, or not for now.

    The worker makes `file` of `original`, which then goes: it holds metadata, where it was taken.
    """

    queue = queues.UPLOADS
    folder: str

    # Random, because it is part of file names: no name can be guessed from another.
    key = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    original = models.FileField(upload_to=original_path, max_length=200, blank=True)
    # An upright JPEG without metadata: the only file that is ever shown.
    file = models.FileField(upload_to=picture_path, max_length=200, blank=True)
    # Of the original.
    sha256 = models.CharField(max_length=64)
    name = models.CharField(max_length=200, blank=True)
    width = models.PositiveIntegerField(default=0)
    height = models.PositiveIntegerField(default=0)

    # That the upload named; empty: the service's.
    detector = models.CharField(max_length=16, blank=True, default="", db_default="")
    extraction = models.CharField(max_length=16, choices=Extraction, default=Extraction.PROCESSING)
    extracted_at = models.DateTimeField(null=True, blank=True)
    rejection = models.CharField(max_length=200, blank=True)
    extractor = models.CharField(max_length=120, blank=True)

    # For AWS Lambda: time and number of submissions, and the SHA-256 of the last token.
    submitted_at = models.DateTimeField(null=True, blank=True)
    submissions = models.PositiveIntegerField(default=0)
    token_sha256 = models.CharField(max_length=64, blank=True)

    class Meta:
        abstract = True

    @property
    def failure_reason(self) -> str:
        """Why it was rejected or has failed, as a sentence; else empty."""
        return self.rejection or (self.reason if self.status == Status.FAILED else "")


def source_constraints(name: str) -> list[models.BaseConstraint]:
    """Constraints of every source; their names begin with `name`."""
    return [
        *job_constraints(name),
        models.CheckConstraint(
            condition=Q(extraction__in=Extraction.values), name=f"{name}_extraction_known"
        ),
        # A used token, or one without a pending result, is invalid.
        models.CheckConstraint(
            condition=Q(extraction=Extraction.PROCESSING) | Q(token_sha256=""),
            name=f"{name}_token_while_processing",
        ),
    ]


def source_indexes(name: str, *, fair_by: str) -> list[models.Index]:
    return [
        *job_indexes(name, fair_by=fair_by),
        # Sources that wait for their faces, by submission time: for the sweep and the dispatch.
        models.Index(
            fields=["submitted_at"],
            condition=Q(extraction=Extraction.PROCESSING, status=Status.DONE),
            name=f"{name}_waiting",
        ),
        # Failed rows whose failure is not recorded on the extraction yet.
        models.Index(
            fields=["id"],
            condition=Q(extraction=Extraction.PROCESSING, status=Status.FAILED),
            name=f"{name}_unrecorded",
        ),
    ]
