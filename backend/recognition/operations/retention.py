"""Deletion of galleries and operations: with their client, or by age."""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from typing import Final

from django.conf import settings
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from backend.common.jobs import queues
from backend.common.jobs.models import Status
from backend.recognition.models import DELETIONS, OPEN, Face, FaceCrop, Operation, User
from backend.recognition.operations import events, executor, imports

logger = logging.getLogger(__name__)

RESULTS_KEPT: Final = timedelta(days=7)
DELETIONS_KEPT: Final = timedelta(hours=1)
"""The result of a deletion names the deleted faces, so it is kept only until it can be polled."""

_AT_A_TIME: Final = 500

_LOOK_FOR_FILES_S: Final = 3600.0
_files_looked_at = -_LOOK_FOR_FILES_S


def erase_of(owner_id: int, *, at_most: int) -> int:
    """Erase up to `at_most` operations, faces or users of a client; returns how many it erased."""
    operations = list(Operation.objects.filter(owner_id=owner_id).order_by()[:at_most])
    for operation in operations:
        _erase(operation)
    if operations:
        return len(operations)
    faces = list(Face.objects.filter(user__owner_id=owner_id).order_by().values("pk")[:at_most])
    if faces:
        Face.objects.filter(pk__in=[face["pk"] for face in faces]).delete()
        return len(faces)
    users = list(User.objects.filter(owner_id=owner_id)[:at_most])
    for user in users:
        user.delete()
    return len(users)


def delete_old() -> None:
    """Sweep step: delete operations that ended long ago, and users without faces and operations."""
    for operation in old()[:_AT_A_TIME]:
        events.erase(operation)
        operation.delete()
    operations = Operation.objects.filter(user=OuterRef("pk"))
    empty = User.objects.filter(~Exists(operations), exists=False).values_list("pk", flat=True)
    for pk in list(empty[:_AT_A_TIME]):
        with transaction.atomic():
            # Checked again under the lock, because an operation may have been accepted meanwhile.
            user = User.objects.select_for_update().filter(pk=pk, exists=False).first()
            if user is not None and not user.operations.exists():
                user.delete()


def delete_stray_files() -> None:
    """Sweep step: delete files that no operation names; once an hour, as a bucket costs."""
    global _files_looked_at
    if time.monotonic() - _files_looked_at >= _LOOK_FOR_FILES_S:
        for name in imports.stray_files():
            default_storage.delete(name)
        _files_looked_at = time.monotonic()


def delete_crops_not_kept() -> None:
    """Sweep step: delete the crops that were cut before they were switched off."""
    if not settings.FACES_KEEP_CROPS:
        some = list(FaceCrop.objects.values_list("pk", flat=True)[:_AT_A_TIME])
        FaceCrop.objects.filter(pk__in=some).delete()


def old() -> QuerySet[Operation]:
    """Operations whose results are kept no longer."""
    now = timezone.now()
    kept_from = now - RESULTS_KEPT
    deletions = Q(kind__in=DELETIONS, processed_at__lt=now - DELETIONS_KEPT)
    return Operation.objects.filter(Q(processed_at__lt=kept_from) | deletions).exclude(OPEN)


def tidy_up() -> None:
    """Sweep step: complete what a crash left of ended operations."""
    ended = Operation.objects.filter(status__in=[Status.DONE, Status.FAILED])
    for which in (Q(images__isnull=False), ~Q(file_name="")):
        for operation in ended.filter(which).distinct()[:_AT_A_TIME]:
            executor.clean_up(operation)


def _erase(operation: Operation) -> None:
    """Delete an operation, also from Redis. Raises `redis.RedisError`."""
    queues.forget(operation.queue, operation.job_id)
    events.erase(operation)
    executor.clean_up(operation)
    operation.delete()
