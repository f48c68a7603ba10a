"""Corrections by hand: a face that was missed gets a box, a box without a face is hidden.

They are of the image's bytes, so they hold for every copy that the client has uploaded.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import BinaryIO, Final

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.module_loading import import_string

from backend.analysis import services as analysis
from backend.common.http import admission
from backend.common.jobs import runner, wakeups
from backend.common.jobs.models import JobError, Status
from backend.common.storage import base as storage
from backend.submissions import services
from backend.submissions.models import Correction, Submission
from wire.events import BoxShape

_KEPT: Final = timedelta(hours=1)
"""An ended row: as long as a request may ask how it ended."""

_LOOK_AGAIN_S: Final = 2.0
"""A wake-up ends the wait at once; a Redis that hangs sends none."""


class Pending(Exception):
    """It is accepted, but no worker has ended it in time."""


def draw(submission: Submission, box: BoxShape) -> bool:
    """Put a box round a face; False if one was there before, perhaps hidden.

    Raises `Pending`, `analysis.MarkRefused`, or `JobError` where the box cannot be used.
    """
    is_new = analysis.mark_face(_owner(submission), submission.sha256, box)
    _work(submission)
    return is_new


def hide(submission: Submission, box: BoxShape) -> None:
    """Hide the box of one of its faces. Raises `Pending` while its picture shows it still.

    A face that was enrolled from it leaves the galleries: it is none.
    """
    assert submission.analysis_id is not None
    faces = analysis.corrected_faces(submission.analysis_id)
    analysis.hide_face(_owner(submission), submission.sha256, box)
    for face in faces:
        if face.box == box and face.encoding:
            for name in settings.ON_FACE_HIDDEN:
                import_string(name)(submission.owner_id, submission.sha256, face.encoding)
    _work(submission)


def process(id: str) -> None:
    """Work on a correction, the one whose owner's turn it is. Safe to call any number of times."""
    runner.run_next(Correction, _process)


def ended(correction: Correction) -> None:
    """Wake the request that waits."""
    wakeups.notify("correction", correction.pk)


def delete_old() -> None:
    """The sweep's step."""
    Correction.objects.filter(processed_at__lt=timezone.now() - _KEPT).delete()


def _work(submission: Submission) -> None:
    correction = Correction.objects.create(owner_id=submission.owner_id, submission=submission)
    transaction.on_commit(correction.enqueue)
    with admission.blocking_wait_slot() as may_wait:
        _wait(correction, settings.FACES_SYNC_RESPONSE_TIMEOUT_S if may_wait else 0.0)


def _wait(correction: Correction, timeout_s: float) -> None:
    deadline, seen = time.monotonic() + timeout_s, "0"
    while True:
        row = Correction.objects.filter(pk=correction.pk).first()
        if row is None or row.status == Status.FAILED:
            raise JobError(row.reason if row else runner.FILE_GONE, permanent=True)
        if row.status == Status.DONE:
            return
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            raise Pending
        pause_s = min(left_s, _LOOK_AGAIN_S)
        seen = wakeups.wait("correction", correction.pk, seen=seen, timeout_s=pause_s)


def _process(correction: Correction) -> None:
    submission = correction.submission
    with submission.image.open("rb") as file:
        image = storage.stream(file)
        analysis.add_drawn(image, _owner(submission), submission.sha256)
        _draw_anew(image, _copies(submission))
    if correction.succeed():
        ended(correction)


def _copies(submission: Submission) -> QuerySet[Submission]:
    same = Submission.objects.filter(owner_id=submission.owner_id, sha256=submission.sha256)
    return same.filter(status=Status.DONE).exclude(analysis=None)


def _draw_anew(image: BinaryIO, copies: QuerySet[Submission]) -> None:
    """The picture and the number of faces of each copy; detectors may have found others."""
    pictures: dict[int, bytes] = {}
    for copy in copies.iterator():
        assert copy.analysis_id is not None
        boxes = analysis.shown_boxes(analysis.event_faces(copy.analysis_id))
        if boxes or copy.result:
            if copy.analysis_id not in pictures:
                image.seek(0)
                pictures[copy.analysis_id] = analysis.draw(image, boxes)
            services.replace_result(copy, pictures[copy.analysis_id], faces_count=len(boxes))


def _owner(submission: Submission) -> str:
    return analysis.client_owner(submission.owner_id)
