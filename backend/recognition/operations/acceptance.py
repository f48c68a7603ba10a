"""Accepts a command: its number, its images, its row. From then on it cannot be lost."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from django.conf import settings
from django.core.files.base import File
from django.db import IntegrityError, transaction
from django.utils import timezone

from backend.analysis import services as analysis
from backend.analysis.services import AnalysisError
from backend.clients.limits import quota
from backend.common import submitted_images
from backend.common.http.errors import Unavailable
from backend.recognition.gallery.probe import as_file
from backend.recognition.models import ENROLLING, OPEN, Operation, OperationImage, User
from backend.recognition.operations.commands import Bytes, Command, Submitted

logger = logging.getLogger(__name__)

NO_SUBMISSION: Final = "There is no submission with this id."

_TRIES: Final = 5


def accept(command: Command, *, owner_id: int, wait_s: float) -> Operation:
    """Store the command as the user's next operation; its caller waits `wait_s` for the end.

    Raises `TooManyWaiting` or `Unavailable` when it cannot be accepted now. Bytes are stored with
    their analyses before the row: a crash in between leaves analyses without references, which the
    sweep of analyses deletes.
    """
    checked = {at: _checked(image, command.detector) for at, image in command.sent.items()}
    for _ in range(_TRIES):
        sent = checked | _submitted(command, owner_id)
        analyses = _requested(sent, owner_id)
        try:
            with transaction.atomic():
                operation = _inserted(command, owner_id, wait_s, _has_work(command, sent))
                _insert_images(operation, command.urls, sent, analyses)
        except IntegrityError:  # an analysis was deleted with its last reference just now
            continue
        logger.info("accepted operation=%s kind=%s", operation.pk, operation.kind)
        return operation
    raise Unavailable


def _inserted(command: Command, owner_id: int, wait_s: float, has_work: bool) -> Operation:
    quota.reserve(owner_id, 0)  # no bytes, but it refuses a client that is being erased
    refuse_if_too_many_wait(owner_id)
    user = next_in_line(owner_id, command.user_id)
    now = timezone.now()
    return Operation.objects.create(
        owner_id=owner_id,
        user=user,
        sequence=user.accepted_seq,
        kind=command.kind,
        contact_id=command.contact_id,
        arguments={
            **command.arguments,
            "urls": {str(at): url for at, url in command.urls.items()},
            "detector": command.detector,
        },
        created_at=now,
        prepared_at=None if has_work else now,
        caller_waits_until=_caller_waits_until(now, wait_s),
    )


def next_in_line(owner_id: int, user_id: int) -> User:
    """The user, locked, with the number of its next operation."""
    User.objects.get_or_create(owner_id=owner_id, user_id=user_id)
    user = User.objects.select_for_update().get(owner_id=owner_id, user_id=user_id)
    user.accepted_seq += 1
    user.save(update_fields=["accepted_seq"])
    return user


def _caller_waits_until(now: datetime, wait_s: float) -> datetime | None:
    return now + timedelta(seconds=wait_s) if wait_s > 0 else None


def refuse_if_too_many_wait(owner_id: int) -> None:
    """Called after `quota.reserve`, which locks the owner's row, so that the limit is exact."""
    waiting = Operation.objects.filter(OPEN, owner_id=owner_id).order_by().values("pk")
    if waiting[settings.FACES_MAX_PENDING - 1 :].exists():
        raise quota.TooManyWaiting(wait=quota.PENDING_WAIT_S)


class _Sent(NamedTuple):
    """An image that was sent now or before; with a reason if it cannot be analysed."""

    file: File[Any] | None
    sha256: str
    reason: str = ""
    analysis_id: int | None = None
    """Of a submission whose faces are known."""
    face_index: int | None = None
    source_name: str = ""
    detector: str = ""
    """Empty: the service's."""


def _checked(image: Bytes, detector: str) -> _Sent:
    """The image, decoded once, because a file that is no image would fail in a worker only."""
    file, sha256 = as_file(image)
    if (file.size or 0) > settings.FACES_MAX_UPLOAD_BYTES:
        return _Sent(file, "", f"At most {settings.FACES_MAX_UPLOAD_BYTES} bytes are accepted.")
    try:
        file.seek(0)
        analysis.check_image(file)  # type: ignore[arg-type]  # it reads and seeks, as files do
    except AnalysisError as error:
        return _Sent(file, "", str(error))
    return _Sent(file, sha256, detector=detector)


def _submitted(command: Command, owner_id: int) -> dict[int, _Sent]:
    return {at: _found(each, owner_id) for at, each in command.submitted.items()}


def _found(wanted: Submitted, owner_id: int) -> _Sent:
    """The submitted image. One that is not processed yet is analysed as if it were sent now."""
    image = submitted_images.find(owner_id, wanted.id)
    if image is None or image.failure:
        return _Sent(None, "", image.failure if image else NO_SUBMISSION)
    file = None if image.analysis_id is not None else image.file
    return _Sent(file, image.sha256, "", image.analysis_id, wanted.face, image.name, image.detector)


def _has_work(command: Command, sent: Mapping[int, _Sent]) -> bool:
    """Whether a worker has to prepare images: only enrolment cuts crops."""
    if command.kind not in ENROLLING and not command.urls:
        return not all(each.analysis_id is not None or each.reason for each in sent.values())
    return bool(command.urls or sent)


def _requested(sent: Mapping[int, _Sent], owner_id: int) -> dict[int, int]:
    """The ids of the valid images' analyses, by their positions."""
    known = {at: each.analysis_id for at, each in sent.items() if each.analysis_id is not None}
    owner = analysis.client_owner(owner_id)
    for detector in {each.detector for each in sent.values()}:
        files = {
            at: (each.file, each.sha256)
            for at, each in sent.items()
            if each.file is not None and not each.reason and each.detector == detector
        }
        ids = analysis.request_many([*files.values()], owner=owner, detector=detector)
        known |= dict(zip(files, ids, strict=True))
    return known


def _insert_images(
    operation: Operation,
    urls: Iterable[int],
    sent: Mapping[int, _Sent],
    analyses: Mapping[int, int],
) -> None:
    rows = [OperationImage(operation=operation, position=at) for at in urls]
    for at, each in sent.items():
        row = OperationImage(operation=operation, position=at, analysis_id=analyses.get(at))
        row.sha256, row.reason = each.sha256, each.reason
        row.face_index, row.source_name = each.face_index, each.source_name
        rows.append(row)
    OperationImage.objects.bulk_create(rows)
