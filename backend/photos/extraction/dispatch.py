"""Submits photos and references for extraction: to workers, to AWS Lambda, or not now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from django.utils import timezone

from backend.common.jobs.models import Status
from backend.photos.extraction import backends
from backend.photos.extraction.aws_lambda import submission
from backend.photos.models import Extraction, Photo, Reference

_AT_A_TIME: Final = 200


def submit(sources: Sequence[Photo | Reference]) -> int:
    """Submit those of the sources that wait for their faces; returns how many."""
    match backends.mode():
        case backends.Mode.WORKERS:
            return sum(_to_worker(source) for source in sources)
        case backends.Mode.LAMBDA:
            return submission.submit(sources)
        case backends.Mode.OFF:
            return 0


def sweep() -> None:
    """Submit what waits: it was uploaded while extraction was off, or Lambda has not answered."""
    match backends.mode():
        case backends.Mode.WORKERS:
            submit(list(backends.waiting(Photo).order_by()[:_AT_A_TIME]))
            submit(list(backends.waiting(Reference).order_by()[:_AT_A_TIME]))
        case backends.Mode.LAMBDA:
            submission.sweep()


def _to_worker(source: Photo | Reference) -> bool:
    """DONE → QUEUED; the token of an earlier submission to Lambda becomes invalid."""
    queued = {"status": Status.QUEUED, "due_at": timezone.now(), "processed_at": None}
    rows = type(source)._default_manager.filter(
        pk=source.pk, extraction=Extraction.PROCESSING, status=Status.DONE
    )
    if not rows.update(**queued, attempts=0, token_sha256="", submitted_at=None):
        return False
    source.enqueue()
    return True
