"""Which backend finds the faces of photos and references."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeVar

from django.conf import settings
from django.db.models import QuerySet

from backend.common.jobs.models import Status
from backend.photos.models import Extraction, Source

S = TypeVar("S", bound=Source)


class Mode(StrEnum):
    """The values of `FACES_PHOTOS_EXTRACTION`."""

    WORKERS = "workers"
    LAMBDA = "lambda"
    OFF = "off"


def mode() -> Mode:
    """`auto` means Lambda if a function is configured, else the workers."""
    if settings.FACES_PHOTOS_EXTRACTION != "auto":
        return Mode(settings.FACES_PHOTOS_EXTRACTION)
    return Mode.LAMBDA if settings.FACEDETECTION_LAMBDA_ARN else Mode.WORKERS


def waiting(model: type[S]) -> QuerySet[S]:
    """Sources with pictures and without faces that no worker has to process."""
    rows = model._default_manager.filter(extraction=Extraction.PROCESSING, status=Status.DONE)
    return rows.order_by("pk")
