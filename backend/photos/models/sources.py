"""A source: an image whose faces are to be found, be it a photo or a reference."""

from __future__ import annotations

import uuid
from typing import Final

from django.db import models
from django.db.models import Q

from backend.common.jobs import queues
from backend.common.jobs.models import Job, Status, job_constraints, job_indexes

WIDTHS_PX: Final = (300, 600, 1200)
"""Of the thumbnails: a tile, a tile on a dense screen, a photo that fills a page."""


class Extraction(models.TextChoices):
    """What clients are told of the faces of a photo or reference.

    PROCESSING ──recorded──▶ DONE
        ▲  ├────recorded, and it cannot be used──▶ REJECTED   references only
        │  └────never will be──▶ FAILED ──┐
        └──────somebody asked to try again┘

    `Work.status` beside it tells only whether one of our workers has to do something, which is also
    so when the faces are found elsewhere, or not at all: it makes the pictures for the pages.
    """

    PROCESSING = "processing"
    DONE = "done"
    REJECTED = "rejected"
    FAILED = "failed"


def original_path(source: Source, filename: str) -> str:
    extension = filename.rpartition(".")[2].lower()
    return spread(f"{source.folder}_originals", source.key, f".{extension}")


def picture_path(source: Source, filename: str) -> str:
    return spread(source.folder, source.key, ".jpg")


def spread(folder: str, key: uuid.UUID, ending: str) -> str:
    """`photos/72/46/7246f927-….jpg`: two levels, so that no folder grows past some thousands."""
    return f"{folder}/{str(key)[:2]}/{str(key)[2:4]}/{key}{ending}"


class Source(Job):
    """An image whose faces are to be found: by our workers, by AWS Lambda, or by nobody for now.

    The worker makes `file` of `original`, which then goes: it holds metadata, where it was taken.
    """

    queue = queues.UPLOADS
    folder: str

    # Random: it is in names of files, and whoever knows one must not be able to tell another.
    key = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    original = models.FileField(upload_to=original_path, max_length=200, blank=True)
    # An upright JPEG without metadata: the only thing that anybody is ever shown.
    file = models.FileField(upload_to=picture_path, max_length=200, blank=True)
    # Of the original.
    sha256 = models.CharField(max_length=64)
    name = models.CharField(max_length=200, blank=True)
    width = models.PositiveIntegerField(default=0)
    height = models.PositiveIntegerField(default=0)

    extraction = models.CharField(max_length=16, choices=Extraction, default=Extraction.PROCESSING)
    extracted_at = models.DateTimeField(null=True, blank=True)
    rejection = models.CharField(max_length=200, blank=True)
    extractor = models.CharField(max_length=120, blank=True)

    # Of those that are handed to AWS Lambda: when, how often, and the SHA-256 of the last token.
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
    """What must hold of every row; `name` begins the constraints' names."""
    return [
        *job_constraints(name),
        models.CheckConstraint(
            condition=Q(extraction__in=Extraction.values), name=f"{name}_extraction_known"
        ),
        # A token that was used, or that nobody waits for, opens nothing.
        models.CheckConstraint(
            condition=Q(extraction=Extraction.PROCESSING) | Q(token_sha256=""),
            name=f"{name}_token_while_processing",
        ),
    ]


def source_indexes(name: str) -> list[models.Index]:
    return [
        *job_indexes(name),
        # What waits for its faces, by when it was handed out: for the sweep and the dispatch.
        models.Index(
            fields=["submitted_at"],
            condition=Q(extraction=Extraction.PROCESSING, status=Status.DONE),
            name=f"{name}_waiting",
        ),
        # What failed and was not told yet.
        models.Index(
            fields=["id"],
            condition=Q(extraction=Extraction.PROCESSING, status=Status.FAILED),
            name=f"{name}_unrecorded",
        ),
    ]
