"""A call from its acceptance to its end: prepared by workers, let take effect in its turn.

Whoever ends a call looks whose turn it is then, and carries these out, too. Whatever dies in
between, the rows tell the sweep what is left to do.
"""

from __future__ import annotations

import logging
import uuid
from datetime import timedelta
from functools import partial
from typing import Final

from django.db import transaction
from django.utils import timezone

from backend.analysis import services as analysis
from backend.common import wakeups, work
from backend.common.work import WorkError
from backend.recognition import effects, events, gallery, preparing, turns
from backend.recognition.models import READING, Operation, OperationImage
from backend.recognition.preparing import Seen

logger = logging.getLogger(__name__)

TAKEN_OVER: Final = "Another worker took this call over."

_LOOK_AGAIN: Final = timedelta(seconds=5)
"""Whoever ends the call before tells the next; only where that is lost, it looks by itself."""


def carry_out(id: uuid.UUID, *, here: bool = False) -> None:
    """Do what can be done of a call now, and of those that it kept waiting. Safe at any time.

    A recognition that somebody waits for takes effect `here`, where they wait, as their process
    has the gallery in memory; a worker leaves it to them.
    """
    user_pk = Operation.objects.filter(pk=id).values_list("user_id", flat=True).first()
    if user_pk is None:
        return
    _run(id, here=here)
    _go_on(user_pk)


def ended(operation: Operation) -> None:
    """The call has ended: whoever waits may look, and nothing is left of its images."""
    wakeups.tell("operation", operation.pk)
    clean_up(operation)
    if operation.followed:
        events.publish(operation)


def failed(operation: Operation) -> None:
    """The sweep's `ended`: others may go on, and workers see to them."""
    ended(operation)
    ids, awaited = turns.ready(operation.user_id)
    turns.call(ids)
    for each in Operation.objects.filter(pk__in=ids):
        each.enqueue()
    for id in awaited:
        wakeups.tell("operation", id)


def clean_up(operation: Operation) -> None:
    """Delete the images of an ended call, and the analyses that nobody else refers to.

    What was found lives on in the gallery alone: deleted there, it is gone.
    """
    images = OperationImage.objects.filter(operation=operation)
    with transaction.atomic():
        ids = list(images.values_list("analysis_id", flat=True))
        images.delete()
        for analysis_id in dict.fromkeys(ids):
            analysis.withdraw(analysis_id)


def _run(id: uuid.UUID, *, here: bool) -> None:
    work.run(Operation, str(id), partial(_do, here=here), on_failed=ended)


def _go_on(user_pk: int) -> None:
    """Carry out whatever waited for what has ended, until nothing is left whose turn it is."""
    before: list[uuid.UUID] = []
    while True:
        ids, awaited = turns.ready(user_pk)
        for id in awaited:
            wakeups.tell("operation", id)
        if not ids or ids == before:  # the same again: another process has them in hand
            return
        turns.call(ids)
        for id in ids:
            _run(id, here=False)
        before = ids


def _do(operation: Operation, *, here: bool) -> None:
    if operation.prepared_at is None:
        preparing.prepare(operation)
    if not here and _is_awaited(operation):
        assert operation.awaited_until is not None
        operation.wait_until(operation.awaited_until)
        wakeups.tell("operation", operation.pk)
    elif turns.must_wait(operation) or not _took_effect(operation):
        operation.wait_until(timezone.now() + _LOOK_AGAIN)
    else:
        logger.info("done operation=%s kind=%s", operation.pk, operation.kind)
        ended(operation)


def _is_awaited(operation: Operation) -> bool:
    until = operation.awaited_until
    return operation.kind in READING and until is not None and until > timezone.now()


def _took_effect(operation: Operation) -> bool:
    """The effect and the end, in one transaction; False if a call before it has not ended."""
    seen = preparing.seen(operation)
    if operation.kind in READING:
        # Whatever comes after it waits for it, so that nothing changes meanwhile.
        _end(operation, _recognised(operation, seen[0]))
        return True
    with transaction.atomic():
        user = turns.lock(operation.user_id)
        if turns.must_wait(operation):
            return False
        result = effects.EFFECTS[operation.kind](user, operation, seen)
        turns.changed(user, anything=bool(result["added"] or result["deleted"]))
        _end(operation, result)
    return True


def _end(operation: Operation, result: effects.Result) -> None:
    if not operation.succeed(result=result, arguments={}):
        raise WorkError(TAKEN_OVER, permanent=False)


def _recognised(operation: Operation, seen: Seen) -> effects.Result:
    if seen.reason:
        raise WorkError(seen.reason, permanent=True)
    if seen.face is None:
        return {"faces": None}
    found = gallery.best(operation.user, seen.face.encoding, model=seen.model)
    faces = [
        {"id": each.face, "recognition_confidence": each.confidence, "distance": each.distance}
        for each in found
    ]
    return {"faces": faces}
