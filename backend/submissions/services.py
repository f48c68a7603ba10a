"""Submissions: accepted, processed, published, erased."""

from __future__ import annotations

import logging
import re
import uuid
from datetime import datetime
from pathlib import PurePath
from typing import Any, BinaryIO, Final, cast

from django.conf import settings
from django.core.files.base import ContentFile, File
from django.db import IntegrityError, transaction
from django.db.models import Q

from backend.analysis import services as analysis
from backend.clients.limits import quota
from backend.common.http.errors import Unavailable
from backend.common.http.upload_fields import sha256_of
from backend.common.jobs import queues, runner, statements
from backend.common.jobs.models import Status
from backend.common.metrics import registry
from backend.common.observability import logs
from backend.common.storage import base as storage
from backend.common.submitted_images import AnalysedImage, SubmittedImage
from backend.submissions import events
from backend.submissions.metrics import UPLOAD_BYTES, UPLOADS
from backend.submissions.models import Submission
from backend.webhooks import services as webhooks
from wire.events import EventFace

logger = logging.getLogger(__name__)

BACKLOG_WAIT_S = 30

# Of every upload, so that they are written out (`statements`): is there a row behind so many others
# that wait, or behind so many of one owner that wait or are in work?
_WAITING: Final = """
SELECT 1 FROM submissions_submission WHERE status = 'queued' ORDER BY due_at LIMIT 1 OFFSET %s
"""
_PENDING: Final = """
SELECT 1 FROM submissions_submission
WHERE owner_id = %s AND status IN ('queued', 'processing') LIMIT 1 OFFSET %s
"""


def accept(
    upload: File[Any], *, owner_id: int, request_id: str = "", detector: str = ""
) -> Submission:
    """Store a checked upload and ask for its faces. After this returned, it cannot be lost.

    A request that nginx passes on a second time, because the first backend died before it answered,
    has the same `request_id`: if that had taken the image in, it is the same submission.

    Raises `QuotaExceeded`, `TooManyWaiting` or `Unavailable` when it cannot be taken now.

    The row is committed before it is enqueued, and the file is stored before the row: a
    crash in between leaves a file without a row, which the retention command removes.
    """
    _refuse_if_swamped()
    submission = Submission(
        id=_id(request_id),
        owner_id=owner_id,
        sha256=sha256_of(upload),
        size_bytes=upload.size or 0,
        detector=detector,
    )
    upload.seek(0)
    name = PurePath(upload.name or "").name
    path = submission.image.field.generate_filename(submission, name)
    try:
        _store(submission, upload, path)
        with transaction.atomic():
            quota.reserve(owner_id, submission.size_bytes)
            _refuse_if_too_many_wait(owner_id)
            statements.create_many([submission])
    except IntegrityError:
        _discard(submission, path)
        return _taken_before(submission)
    except BaseException:
        # Also a part that was written before the disk was full.
        _discard(submission, path)
        raise
    # Outside: from the commit on the file is the row's, whatever becomes of the job.
    transaction.on_commit(submission.enqueue)
    registry.count(UPLOADS)
    registry.count(UPLOAD_BYTES, submission.size_bytes)
    logger.info(
        "accepted submission=%s owner=%d bytes=%d", submission.pk, owner_id, submission.size_bytes
    )
    return submission


def _store(submission: Submission, upload: File[Any], path: str) -> None:
    """As `FieldFile.save`, which would make the path a second time."""
    image = submission.image
    image.name = image.storage.save(path, upload, max_length=image.field.max_length)


def _id(request_id: str) -> uuid.UUID:
    """From nginx's random id of the request; an id of another form is not used."""
    is_of_nginx = re.fullmatch(r"[0-9a-f]{32}", request_id)
    return uuid.UUID(request_id, version=4) if is_of_nginx else uuid.uuid4()


def _discard(submission: Submission, path: str) -> None:
    """Delete the file of a rejected upload; never that of a row."""
    written = submission.image.name or path
    if written != path or not Submission.objects.filter(pk=submission.pk).exists():
        submission.image.storage.delete(written)


def _taken_before(submission: Submission) -> Submission:
    same = Submission.objects.filter(
        pk=submission.pk, owner_id=submission.owner_id, sha256=submission.sha256
    ).first()
    if same is None:  # the client went in this moment, or ids are forged
        raise Unavailable
    return same


def process(id: str) -> None:
    """Process a submission, the one whose owner's turn it is. Safe to call any number of times."""
    runner.run_next(Submission, _process)


def publish(submission: Submission) -> bool:
    """Tell the listeners how a submission ended; False if that has to be done later."""
    return events.publish(submission, faces=event_faces(submission))


def retry(submission: Submission) -> bool:
    """Try a failed submission again; False if it has not failed. Raises `redis.RedisError`.

    Its event is deleted first, because there will be another outcome.
    """
    if submission.status != Status.FAILED:
        return False
    events.erase(submission)
    if not submission.start_again(event_id=""):
        return False
    logger.info("tried again submission=%s", submission.pk)
    submission.enqueue()
    return True


def erase(submission: Submission) -> None:
    """Delete a submission for good: job, event, files, row, analysis. Raises `redis.RedisError`.

    The row is deleted last, and only if it still names the same files and event: a worker may have
    ended it meanwhile, which adds a picture and an event. A row that stays can be erased again.
    """
    queues.forget(submission.queue, submission.job_id)
    while not _erased_as_it_is(submission):
        try:
            submission.refresh_from_db()
        except Submission.DoesNotExist:  # by another process, at the same time
            return
    analysis.release(submission.analysis_id)
    webhooks.forget(submission.pk)
    logger.info("erased submission=%s", submission.pk)


def _erased_as_it_is(submission: Submission) -> bool:
    events.erase(submission)
    for file in (submission.image, submission.result):
        if file.name:
            file.storage.delete(file.name)
    as_seen = Submission.objects.filter(
        pk=submission.pk,
        status=submission.status,
        claimed_by=submission.claimed_by,
        result=submission.result.name or "",
        event_id=submission.event_id,
    )
    with transaction.atomic():
        gone, _ = as_seen.delete()
        if gone:
            # It locks the client's row: of two copies that are erased at once, one is the last.
            quota.release(submission.owner_id, submission.size_bytes)
            _forget_marks(submission)
    return bool(gone)


def _forget_marks(submission: Submission) -> None:
    """With the last copy of the bytes goes what was corrected on them by hand."""
    copies = Submission.objects.filter(owner_id=submission.owner_id, sha256=submission.sha256)
    if not copies.exists():
        analysis.forget_marks(analysis.client_owner(submission.owner_id), submission.sha256)


def erase_of(owner_id: int, *, at_most: int) -> int:
    """Erase up to `at_most` submissions of a client; returns how many there were. An eraser."""
    submissions = list(Submission.objects.filter(owner_id=owner_id).order_by()[:at_most])
    for submission in submissions:
        erase(submission)
    return len(submissions)


def _process(submission: Submission) -> None:
    with logs.about_submission(str(submission.pk)):
        _find_and_draw(submission)


def _find_and_draw(submission: Submission) -> None:
    with submission.image.open("rb") as file:
        image = storage.stream(file)
        owner = analysis.client_owner(submission.owner_id)
        found = analysis.analyse(
            image, owner=owner, sha256=submission.sha256, detector=submission.detector
        )
        result = ""
        if found.boxes:
            result = _save_result(submission, analysis.draw(found.photo or image, found.boxes))
    count = len(found.boxes)
    if submission.succeed(analysis_id=found.analysis_id, faces_count=count, result=result):
        logger.info("done submission=%s faces=%d", submission.pk, count)
        events.publish(submission, faces=found.faces)
    elif not Submission.objects.filter(pk=submission.pk).exists():
        _delete_what_was_made(submission, found, result)


def _save_result(submission: Submission, jpeg: bytes) -> str:
    path = submission.result.field.generate_filename(submission, "result.jpg")
    # A worker that died behind this step left one; saved beside it, ours would get another name,
    # and no address leads to that.
    submission.result.storage.delete(path)
    return str(submission.result.storage.save(path, ContentFile(jpeg)))


def replace_result(submission: Submission, jpeg: bytes, *, faces_count: int) -> None:
    """Store another picture of an ended submission."""
    result = _save_result(submission, jpeg)
    done = Submission.objects.filter(pk=submission.pk, status=Status.DONE)
    if not done.update(result=result, faces_count=faces_count):  # it was erased meanwhile
        submission.result.storage.delete(result)


def _delete_what_was_made(submission: Submission, found: analysis.Result, result: str) -> None:
    """The submission was erased while it was worked on: deleted means gone."""
    if result:
        submission.result.storage.delete(result)
    analysis.release(found.analysis_id)


def _refuse_if_swamped() -> None:
    """Refuse uploads while too many wait: a longer queue only makes them wait longer."""
    if statements.is_there(_WAITING, [settings.FACES_MAX_BACKLOG - 1]):
        raise Unavailable("Too many images are waiting.", wait=BACKLOG_WAIT_S)


def _refuse_if_too_many_wait(owner_id: int) -> None:
    """Behind `quota.reserve`, which locks the owner's row: two uploads cannot both be the last."""
    if statements.is_there(_PENDING, [owner_id, settings.FACES_MAX_PENDING - 1]):
        raise quota.TooManyWaiting(wait=quota.PENDING_WAIT_S)


def submitted_image(owner_id: int, id: uuid.UUID) -> SubmittedImage | None:
    """The stored image of a client's submission, and its analysis once that is done."""
    submission = Submission.objects.filter(owner_id=owner_id, pk=id).first()
    if submission is None:
        return None
    failed = submission.status == Status.FAILED
    return SubmittedImage(
        file=submission.image,
        name=str(submission.image.name),
        sha256=submission.sha256,
        analysis_id=submission.analysis_id if submission.status == Status.DONE else None,
        detector=submission.detector,
        failure=submission.reason if failed else "",
    )


def newest(
    owner_id: int, at_most: int, *, before: tuple[datetime, uuid.UUID] | None = None
) -> list[Submission]:
    """The newest submissions of a client; with `before` those behind one of that time and id."""
    rows = Submission.objects.filter(owner_id=owner_id)
    if before:
        created_at, pk = before
        rows = rows.filter(Q(created_at__lt=created_at) | Q(created_at=created_at, pk__lt=pk))
    return list(rows.order_by("-created_at", "-pk")[:at_most])


def of_bytes(owner_id: int, sha256: str, at_most: int) -> list[Submission]:
    """The newest submissions of a client with these bytes whose faces are known."""
    owner = analysis.client_owner(owner_id)
    rows = Submission.objects.filter(analysis__owner=owner, analysis__sha256=sha256)
    done = rows.filter(owner_id=owner_id, status=Status.DONE)
    return list(done.order_by("-created_at", "-pk")[:at_most])


def newest_analysed(owner_id: int, at_most: int) -> dict[int, AnalysedImage]:
    """The newest images of a client whose faces are known, by their analyses: copies count once."""
    done = Submission.objects.filter(owner_id=owner_id, status=Status.DONE, faces_count__gt=0)
    rows = done.exclude(analysis=None).order_by("-created_at", "-pk")[:at_most]
    return {
        analysis_id: AnalysedImage(pk, sha256)
        for pk, analysis_id, sha256 in rows.values_list("pk", "analysis_id", "sha256")
        if analysis_id is not None
    }


def webhook_data(
    subject: str, id: uuid.UUID, *, owner_id: int, user_id: int | None
) -> dict[str, Any] | None:
    """The event of an ended submission for a webhook: that of the websocket, with a signed link."""
    submission = Submission.objects.filter(owner_id=owner_id, pk=id).first()
    if submission is None or submission.processed_at is None:
        return None
    event = events.build(submission, faces=event_faces(submission))
    return {**event, "image_url": events.image_url(submission)}


def event_faces(submission: Submission) -> list[EventFace]:
    """The boxes of the faces that were found, in order; none before it is done."""
    if submission.status != Status.DONE or submission.analysis_id is None:
        return []
    return analysis.event_faces(submission.analysis_id)


def crop(submission: Submission, face: int, side_px: int) -> bytes | None:
    """A square JPEG of one of the faces; None where there is no such face, or no image any more.

    Raises `AnalysisError` for an image that cannot be decoded any more.
    """
    boxes = [each["box"] for each in event_faces(submission)]
    if face >= len(boxes):
        return None
    try:
        with submission.image.open("rb") as file:
            return analysis.crop(cast(BinaryIO, file), boxes[face], side_px)
    except FileNotFoundError:
        return None


def faces(submission: Submission) -> list[analysis.FoundFace]:
    """The faces that were found, with encoding and quality, in order; none before it is done."""
    if submission.status != Status.DONE or submission.analysis_id is None:
        return []
    return analysis.corrected_faces(submission.analysis_id)
