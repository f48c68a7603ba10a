"""How galleries and calls go: with their client, or for their age."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from backend.common.jobs import queues
from backend.common.jobs.models import Status
from backend.recognition.models import OPEN, Face, Kind, Operation, User
from backend.recognition.operations import events, executor

logger = logging.getLogger(__name__)

DELETIONS_TOLD: Final = timedelta(hours=1)
"""The answer to a deletion names what was deleted: no longer than somebody may come for it."""

_DELETIONS: Final = (Kind.DELETE, Kind.DELETE_CONTACT, Kind.DELETE_USER)
_AT_A_TIME: Final = 500


def erase_of(owner_id: int, *, at_most: int) -> int:
    """Erase up to `at_most` calls, faces or users of a client; how many there were. An eraser."""
    calls = list(Operation.objects.filter(owner_id=owner_id).order_by()[:at_most])
    for operation in calls:
        _erase_call(operation)
    if calls:
        return len(calls)
    faces = list(Face.objects.filter(user__owner_id=owner_id).order_by().values("pk")[:at_most])
    if faces:
        Face.objects.filter(pk__in=[face["pk"] for face in faces]).delete()
        return len(faces)
    users = list(User.objects.filter(owner_id=owner_id)[:at_most])
    for user in users:
        user.delete()
    return len(users)


def delete_old() -> None:
    """The sweep's step: calls that ended long ago, and users of which nothing is left."""
    for operation in old()[:_AT_A_TIME]:
        events.erase(operation)
        operation.delete()
    calls = Operation.objects.filter(user=OuterRef("pk"))
    nobody = User.objects.filter(~Exists(calls), exists=False).values_list("pk", flat=True)
    for pk in list(nobody[:_AT_A_TIME]):
        with transaction.atomic():
            # Looked at again under its lock: a call may be accepted in this moment.
            user = User.objects.select_for_update().filter(pk=pk, exists=False).first()
            if user is not None and not user.operations.exists():
                user.delete()


def old() -> QuerySet[Operation]:
    """Calls whose answers are kept no longer."""
    now = timezone.now()
    kept_from = now - timedelta(days=settings.FACES_OPERATIONS_KEPT_DAYS)
    told_from = now - DELETIONS_TOLD
    deletions = Q(kind__in=_DELETIONS, processed_at__lt=told_from)
    return Operation.objects.filter(Q(processed_at__lt=kept_from) | deletions).exclude(OPEN)


def tidy_up() -> None:
    """The sweep's step: what a crash left of ended calls."""
    ended = Operation.objects.filter(status__in=[Status.DONE, Status.FAILED])
    for operation in ended.filter(images__isnull=False).distinct()[:_AT_A_TIME]:
        executor.clean_up(operation)
    for operation in ended.filter(notify_on_end=True, event_id="")[:_AT_A_TIME]:
        if not events.publish(operation):
            break


def _erase_call(operation: Operation) -> None:
    """Raises `redis.RedisError`: deleted means gone from there, too."""
    queues.forget(operation.queue, operation.job_id)
    events.erase(operation)
    executor.clean_up(operation)
    operation.delete()
