"""Submissions: taken in, worked on, told about, deleted."""

from __future__ import annotations

import hashlib
import logging
import uuid
from datetime import datetime, timedelta
from pathlib import PurePath
from typing import Any, BinaryIO, cast

from django.conf import settings
from django.core.files.base import ContentFile, File
from django.db import transaction
from django.utils import timezone

from backend.analysis import services as analysis
from backend.clients import quota
from backend.common import processes, queues
from backend.common.errors import Unavailable
from backend.submissions import events
from backend.submissions.models import Status, Submission
from wire.events import BoxShape

logger = logging.getLogger(__name__)

PROCESS = "backend.submissions.tasks.process"
"""The dotted name of the task: the web process enqueues it without importing what it needs."""

BACKLOG_WAIT_S = 30

GIVEN_UP = "The image could not be processed, also after several attempts."


def accept(upload: File[Any], *, owner_id: int) -> Submission:
    """Store a checked upload and ask for its faces. After this returned, it cannot be lost.

    Raises `QuotaExceeded`, `TooManyWaiting` or `Unavailable` when it cannot be taken now.

    The row is committed before the queue hears of it, and the file is stored before the row: a
    crash in between leaves a file without a row, which the retention command removes.
    """
    _refuse_if_swamped()
    submission = Submission(
        id=uuid.uuid4(), owner_id=owner_id, sha256=_sha256(upload), size_bytes=upload.size or 0
    )
    upload.seek(0)
    submission.image.save(PurePath(upload.name or "").name, upload, save=False)
    try:
        with transaction.atomic():
            quota.take_room(owner_id, submission.size_bytes)
            _refuse_if_too_many_wait(owner_id)
            submission.save(force_insert=True)
            transaction.on_commit(lambda: enqueue(submission.pk))
    except BaseException:
        submission.image.delete(save=False)
        raise
    logger.info(
        "accepted submission=%s owner=%d bytes=%d", submission.pk, owner_id, submission.size_bytes
    )
    return submission


def enqueue(id: uuid.UUID) -> bool:
    """Tell the queue of a submission; False if the queue is out of reach."""
    return queues.enqueue(queues.UPLOADS, PROCESS, str(id), job_id=str(id))


def process(id: str) -> None:
    """Work on a submission if it is due and nobody else does. Safe to call any number of times."""
    lease = timedelta(seconds=settings.FACES_JOB_TIMEOUT_S)
    submission = Submission.claim(id, holder=processes.identity(), lease=lease)
    if submission is None:
        logger.info("nothing to do submission=%s", id)
        return
    logger.info("processing submission=%s attempt=%d", id, submission.attempts)
    try:
        _find_and_draw(submission)
    except analysis.AnalysisError as error:
        _fail(submission, str(error), permanent=error.permanent)
    except FileNotFoundError:
        _fail(submission, "The uploaded file is gone.", permanent=True)
    except Exception:  # the edge of the process: whatever it was becomes a state
        logger.exception("attempt failed submission=%s", id)
        _fail(submission, GIVEN_UP, permanent=False)


def release(submission: Submission) -> None:
    """Take a submission away from a worker that died or hangs, and queue it again."""
    logger.warning("worker lost submission=%s attempt=%d", submission.pk, submission.attempts)
    # Most lost workers were not this image's fault, so the first loss costs no time; an image that
    # kills its worker again and again waits longer each time, like any failure.
    delay = timedelta(0) if submission.attempts <= 1 else retry_delay(submission.attempts - 1)
    _retry_or_fail(submission, GIVEN_UP, delay)


def retry_delay(attempt: int) -> timedelta:
    """How long to wait after the failed attempt number `attempt` (from 1): 5·2ⁿ s, n from 0."""
    seconds: float = settings.FACES_RETRY_DELAY_S * 2 ** (attempt - 1)
    return timedelta(seconds=seconds)


def publish(submission: Submission) -> bool:
    """Tell the listeners how a submission ended; False if that has to be done later."""
    return events.publish(submission, boxes=boxes(submission))


def erase(submission: Submission) -> None:
    """Delete a submission for good: job, event, files, row, analysis. Raises `redis.RedisError`.

    The row goes last: while anything is left of it, it can be found and erased again.
    """
    queues.forget(queues.UPLOADS, str(submission.pk))
    events.erase(submission)
    for file in (submission.image, submission.result):
        if file.name:
            file.storage.delete(file.name)
    with transaction.atomic():
        gone, _ = Submission.objects.filter(pk=submission.pk).delete()
        if gone:
            quota.give_room(submission.owner_id, submission.size_bytes)
    analysis.forget(submission.analysis_id)
    logger.info("erased submission=%s", submission.pk)


def erase_of(owner_id: int, *, at_most: int) -> int:
    """Erase up to `at_most` submissions of a client; returns how many there were. An eraser."""
    submissions = list(Submission.objects.filter(owner_id=owner_id).order_by()[:at_most])
    for submission in submissions:
        erase(submission)
    return len(submissions)


def count_of(owner_id: int) -> int:
    return Submission.objects.filter(owner_id=owner_id).count()


def _find_and_draw(submission: Submission) -> None:
    with submission.image.open("rb") as file:
        image = cast(BinaryIO, file)
        found = analysis.analyse(
            image, sha256=submission.sha256, discreet=not _is_again(submission)
        )
        result = ""
        if found.boxes:
            image.seek(0)
            jpeg = analysis.draw(image, found.boxes)
            path = submission.result.field.generate_filename(submission, "result.jpg")
            result = submission.result.storage.save(path, ContentFile(jpeg))
    count = len(found.boxes)
    if submission.complete(analysis_id=found.analysis_id, faces_count=count, result=result):
        logger.info("done submission=%s faces=%d", submission.pk, count)
        publish(submission)
    elif not Submission.objects.filter(pk=submission.pk).exists():
        _forget_what_was_made(submission, found, result)


def _forget_what_was_made(submission: Submission, found: analysis.Result, result: str) -> None:
    """The submission was erased while it was worked on: deleted means gone."""
    if result:
        submission.result.storage.delete(result)
    analysis.forget(found.analysis_id)


def _is_again(submission: Submission) -> bool:
    """Whether its owner had these bytes analysed before."""
    same = Submission.objects.filter(owner_id=submission.owner_id, sha256=submission.sha256)
    return same.filter(status=Status.DONE).exists()


def _refuse_if_swamped() -> None:
    """An ever longer queue helps nobody: past the bound, come back later."""
    waiting = Submission.objects.filter(status=Status.QUEUED).order_by("due_at").values("pk")
    if waiting[settings.FACES_MAX_BACKLOG - 1 :].exists():
        raise Unavailable("Too many images are waiting.", wait=BACKLOG_WAIT_S)


def _refuse_if_too_many_wait(owner_id: int) -> None:
    """Behind `take_room`, which locks the owner's row: two uploads cannot both be the last."""
    in_work = [Status.QUEUED, Status.PROCESSING]
    waiting = Submission.objects.filter(owner_id=owner_id, status__in=in_work).order_by()
    if waiting.values("pk")[settings.FACES_MAX_PENDING - 1 :].exists():
        raise quota.TooManyWaiting(wait=quota.PENDING_WAIT_S)


def _fail(submission: Submission, reason: str, *, permanent: bool) -> None:
    if permanent:
        _end(submission, reason)
    else:
        _retry_or_fail(submission, reason, retry_delay(submission.attempts))


def _retry_or_fail(submission: Submission, reason: str, delay: timedelta) -> None:
    if submission.attempts > settings.FACES_MAX_RETRIES:
        _end(submission, reason)
        return
    due_at: datetime = timezone.now() + delay
    if submission.requeue(due_at=due_at):
        # The sweep enqueues it when it is due: a delayed job in Redis could be lost with Redis.
        logger.warning("will be tried again submission=%s at=%s", submission.pk, due_at.isoformat())


def _end(submission: Submission, reason: str) -> None:
    if submission.fail(reason):
        logger.warning("failed submission=%s reason=%s", submission.pk, reason)
        publish(submission)


def boxes(submission: Submission) -> list[BoxShape]:
    """The boxes of the faces that were found, in order; none before it is done."""
    if submission.status != Status.DONE or submission.analysis_id is None:
        return []
    return analysis.boxes(submission.analysis_id)


def _sha256(upload: File[Any]) -> str:
    digest = hashlib.sha256()
    for chunk in upload.chunks():
        digest.update(chunk)
    return digest.hexdigest()
