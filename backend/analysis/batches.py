"""Several images in one job: faces are encoded together, and one bad image spoils no other."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import BinaryIO, Final

from django.conf import settings
from django.utils import timezone

import faceengine
from backend.analysis import compute as computing
from backend.analysis import detectors, marks
from backend.analysis.models import Analysis
from backend.common.jobs import queues
from backend.common.jobs.models import JobTimeout
from backend.common.metrics import registry
from backend.common.storage import base as storage

logger = logging.getLogger(__name__)

_A_JOB: Final = 8
"""Images of one job: enough to share the encoder, few enough for the other workers to share in."""


def enqueue(analyses: Sequence[Analysis]) -> None:
    """One job for each few of them. A lost job is no loss: the sweep enqueues its rows singly."""
    for start in range(0, len(analyses), _A_JOB):
        ids = ",".join(str(analysis.pk) for analysis in analyses[start : start + _A_JOB])
        job_id = f"analyses-{ids.replace(',', '-')}"
        queues.enqueue(Analysis.queue, Analysis.batch_task, ids, job_id=job_id)


def compute(ids: Sequence[str]) -> list[Analysis]:
    """Compute those that this process can claim; returns those to compute one by one."""
    return compute_claimed([analysis for id in ids if (analysis := Analysis.claim(id))])


def compute_claimed(taken: Sequence[Analysis]) -> list[Analysis]:
    """Compute claimed analyses together; returns those to compute one by one."""
    drawn_on = marks.marked(taken)
    singly = [each for each in taken if each.pk in drawn_on and each.requeue(due_at=timezone.now())]
    taken = [each for each in taken if each.pk not in drawn_on]
    with registry.batch():
        try:
            for (detector, _), same in groupby(sorted(taken, key=_makers), key=_makers):
                _together([*same], detectors.chosen(detector))
            return singly
        except Exception as error:  # which of them it was shows when each is done by itself
            logger.warning("%d images are done singly: %s", len(taken), error)
            # Rows recorded before the error are no longer claimed, so they stay as they are.
            rest = [each for each in taken if each.requeue(due_at=timezone.now())]
            if isinstance(error, JobTimeout):  # nor is there time for a single one
                raise
            return singly + rest


def _makers(analysis: Analysis) -> tuple[str, str]:
    return analysis.detector, analysis.model


def _together(analyses: Sequence[Analysis], detector: faceengine.Detector) -> None:
    reading = _Reading(analyses)
    found = faceengine.encode_many(
        reading.images(),
        detector,
        encoder=computing.encoder_of(analyses[0]),
        max_detection_pixels=settings.FACES_MAX_DETECTION_PIXELS,
    )
    encoding_s = (time.monotonic() - reading.last) / len(analyses)
    for analysis, faces, detecting_s in zip(analyses, found, reading.took, strict=True):
        computing.conclude(analysis, faces, engine_s=detecting_s + encoding_s)


class _Reading:
    """Gives the engine one image at a time, and notes how long it had each in hand."""

    def __init__(self, analyses: Sequence[Analysis]) -> None:
        self.analyses = analyses
        self.took: list[float] = []
        self.last = time.monotonic()

    def images(self) -> Iterator[BinaryIO]:
        for analysis in self.analyses:
            with analysis.source.open("rb") as file:
                self.last = time.monotonic()
                yield storage.stream(file)
            self.took.append(time.monotonic() - self.last)
            self.last = time.monotonic()
