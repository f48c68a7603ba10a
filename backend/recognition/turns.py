"""Whose turn it is: calls on one user take effect in the order in which they were accepted.

A change waits for every call before it; a recognition, which changes nothing, only for the changes
before it. So each call finds the gallery as the calls before it left it, and no other.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from backend.common.work import Status
from backend.recognition.models import OPEN, READING, Operation, User


def lock(user_pk: int) -> User:
    """The user's row, held until the transaction ends: nothing else changes the gallery till then.

    Raises `User.DoesNotExist`.
    """
    return User.objects.select_for_update().get(pk=user_pk)


def changed(user: User, *, anything: bool = True) -> None:
    """Count a change of the gallery of a locked user: copies of it are out of date."""
    user.gallery_version += int(anything)
    user.save(update_fields=["gallery_version", "exists"])


def must_wait(operation: Operation) -> bool:
    """Whether a call before `operation` has not ended that it has to wait for."""
    return _before(operation.user_id, operation.sequence, operation.kind in READING).exists()


def pending(user_pk: int, *, up_to: int) -> int:
    """How many changes with numbers up to this one have not ended."""
    return _before(user_pk, up_to + 1, True).count()


def ready(user_pk: int) -> tuple[list[uuid.UUID], list[uuid.UUID]]:
    """The prepared calls whose turn has come: those to carry out, and those that somebody awaits.

    One that was tried before has its own time to be tried again.
    """
    earlier = Operation.objects.filter(
        OPEN, user=OuterRef("user"), sequence__lt=OuterRef("sequence")
    )
    waits_for_any = ~Q(kind__in=READING) & Exists(earlier)
    waits_for_change = Q(kind__in=READING) & Exists(earlier.exclude(kind__in=READING))
    prepared = Operation.objects.filter(
        user=user_pk, status=Status.QUEUED, attempts=0, prepared_at__isnull=False
    )
    found = prepared.exclude(waits_for_any).exclude(waits_for_change).order_by("sequence")
    awaited = Q(kind__in=READING, awaited_until__gt=timezone.now())
    return _ids(found.exclude(awaited)), _ids(found.filter(awaited))


def call(ids: Iterable[uuid.UUID]) -> None:
    """It is their turn: what was to be looked at later is due now."""
    waiting = Operation.objects.filter(pk__in=list(ids), status=Status.QUEUED)
    waiting.filter(due_at__gt=timezone.now()).update(due_at=F("created_at"))


def _before(user_pk: int, sequence: int, only_changes: bool) -> QuerySet[Operation]:
    earlier = Operation.objects.filter(OPEN, user=user_pk, sequence__lt=sequence)
    return earlier.exclude(kind__in=READING) if only_changes else earlier


def _ids(operations: QuerySet[Operation]) -> list[uuid.UUID]:
    return list(operations.values_list("pk", flat=True))
