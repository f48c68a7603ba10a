"""Executes operations: prepares them, and applies them in order (see `models.Operation`).

The process that ends an operation goes on with the operations that it unblocked. If a process dies
in between, the sweep resumes from the rows.
"""

from __future__ import annotations

import logging
import uuid
from typing import Final

from django.db import transaction
from django.db.models import QuerySet

from backend.analysis import services as analysis
from backend.common.jobs import runner, wakeups
from backend.common.jobs.models import JobError
from backend.recognition.gallery import locking
from backend.recognition.models import READING, Kind, Operation, OperationImage, User
from backend.recognition.operations import events, handlers, imports, preparation, probing
from backend.recognition.operations.preparation import ImageFinding
from backend.recognition.operations.results import Result
from backend.recognition.transfer import importer
from backend.webhooks import services as webhooks
from backend.webhooks.models import Subject

logger = logging.getLogger(__name__)

NO_GALLERY: Final = "There is no user with this number."


def execute(id: uuid.UUID) -> None:
    """Prepare and apply an operation as far as possible now. Safe to call at any time."""
    user_pk = Operation.objects.filter(pk=id).values_list("user_id", flat=True).first()
    if user_pk is not None:
        _run(id)
        execute_unblocked(user_pk)


def execute_next(id: uuid.UUID) -> None:
    """Prepare the operation whose client's turn it is, and apply it unless it is blocked.

    `id` is that of the entry in the queue: if it is prepared already, it is applied too.
    """
    users = {*Operation.objects.filter(pk=id).values_list("user_id", flat=True)}
    prepared = runner.run_next(Operation, _step)
    for user_pk in users | ({prepared.user_id} if prepared else set()):
        execute_unblocked(user_pk)


def execute_unblocked(user_pk: int) -> None:
    """Apply the user's prepared operations until only blocked ones are left.

    Reserved ones are left to their callers, who are notified.
    """
    while ids := _prepared(Operation.claimable(), user_pk):
        for id in ids:
            _run(id)
    for id in _prepared(Operation.reserved(), user_pk):
        wakeups.notify("operation", id)


def on_end(operation: Operation) -> None:
    """Notify waiting callers, delete the images, and publish the event where it was asked for."""
    wakeups.notify("operation", operation.pk)
    clean_up(operation)
    if operation.notify_on_end:
        events.publish(operation)


def clean_up(operation: Operation) -> None:
    """Delete the files of an ended operation, and the analyses that nothing else refers to."""
    imports.clean_up(operation)
    images = OperationImage.objects.filter(operation=operation)
    with transaction.atomic():
        ids = list(images.values_list("analysis_id", flat=True))
        images.delete()
        for analysis_id in dict.fromkeys(ids):
            analysis.withdraw(analysis_id)


def _run(id: uuid.UUID) -> None:
    runner.run(Operation, str(id), _step)


def _prepared(operations: QuerySet[Operation], user_pk: int) -> list[uuid.UUID]:
    prepared = operations.filter(user=user_pk, prepared_at__isnull=False)
    return list(prepared.order_by("sequence").values_list("pk", flat=True))


def _step(operation: Operation) -> None:
    if operation.kind == Kind.IMPORT:
        imports.run(operation)
    elif operation.prepared_at is None:
        preparation.prepare(operation)
        operation.mark_prepared()
        return
    else:
        _apply(operation)
    logger.info("done operation=%s kind=%s", operation.pk, operation.kind)
    on_end(operation)
    if operation.kind in READING:
        _notify_webhooks(operation)


def _notify_webhooks(operation: Operation) -> None:
    assert operation.processed_at is not None
    webhooks.notify(
        Subject.OPERATION,
        operation.pk,
        owner_id=operation.owner_id,
        ended_at=operation.processed_at,
        user_id=operation.user.user_id,
    )


def _apply(operation: Operation) -> None:
    """The effect and the end, in one transaction."""
    images = preparation.findings(operation)
    if operation.kind in READING:
        # Every later change waits for it, so that nothing changes meanwhile.
        _end(operation, _recognised(operation, images[0]))
        return
    with transaction.atomic():
        user = locking.lock(operation.user_id)
        if not user.exists:  # a failed import is deleted behind its end
            importer.discard(user)
        result = handlers.HANDLERS[operation.kind](user, operation, images)
        if result.get("added") or result.get("deleted"):
            locking.bump_version(user)
        _end(operation, result)


def _end(operation: Operation, result: Result) -> None:
    if not operation.succeed(result=result, arguments={}):
        raise JobError(imports.TAKEN_OVER, permanent=False)


def _recognised(operation: Operation, image: ImageFinding) -> Result:
    wanted = operation.arguments.get("wanted")
    if wanted is not None and not User.objects.filter(pk=operation.user_id, exists=True).exists():
        raise JobError(NO_GALLERY, permanent=True)
    if image.reason:
        raise JobError(image.reason, permanent=True)
    return probing.recognised(operation.user, image, wanted)
