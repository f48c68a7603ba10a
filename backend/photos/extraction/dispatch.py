"""Where the faces of photos and references are found: by our workers, by AWS Lambda, or not now."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final, TypeVar

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from backend.common.jobs.work import Status
from backend.photos.models import Extraction, Photo, Reference, Source

S = TypeVar("S", bound=Source)

_AT_A_TIME: Final = 200


class Mode(StrEnum):
    """What `FACES_PHOTOS_EXTRACTION` asks for."""

    WORKERS = "workers"
    LAMBDA = "lambda"
    OFF = "off"


def mode() -> Mode:
    """`auto` is Lambda where there is a function, and else the workers."""
    if settings.FACES_PHOTOS_EXTRACTION != "auto":
        return Mode(settings.FACES_PHOTOS_EXTRACTION)
    return Mode.LAMBDA if settings.FACEDETECTION_LAMBDA_ARN else Mode.WORKERS


def waiting(model: type[S]) -> QuerySet[S]:
    """What has its pictures, but not its faces, and is in no worker's hands or queue."""
    rows = model._default_manager.filter(extraction=Extraction.PROCESSING, status=Status.DONE)
    return rows.order_by("pk")


def submit(sources: Sequence[Photo | Reference]) -> int:
    """Have the faces of these found, if they wait for that; how many were handed on."""
    match mode():
        case Mode.WORKERS:
            return sum(_to_worker(source) for source in sources)
        case Mode.LAMBDA:
            from backend.photos.extraction.aws_lambda import (
                submission,  # loads boto3, which few installations need
            )

            return submission.submit(sources)
        case Mode.OFF:
            return 0


def sweep() -> None:
    """What nobody looked for while this was switched off. Lambda is asked by its own sweep."""
    if mode() is Mode.WORKERS:
        submit(list(waiting(Photo).order_by()[:_AT_A_TIME]))
        submit(list(waiting(Reference).order_by()[:_AT_A_TIME]))


def _to_worker(source: Photo | Reference) -> bool:
    """DONE → QUEUED; an answer of Lambda that is still under way opens nothing any more."""
    queued = {"status": Status.QUEUED, "due_at": timezone.now(), "processed_at": None}
    rows = type(source)._default_manager.filter(
        pk=source.pk, extraction=Extraction.PROCESSING, status=Status.DONE
    )
    if not rows.update(**queued, attempts=0, token_sha256="", submitted_at=None):
        return False
    source.enqueue()
    return True
