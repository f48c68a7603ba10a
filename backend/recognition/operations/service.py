"""Calls on the galleries of a client: made, waited for, answered."""

from __future__ import annotations

import time
import uuid
from typing import Any, Final

from django.db.models import Count

from backend.common.jobs import wakeups
from backend.common.jobs.models import Status
from backend.recognition.contract import ChangesShape, FaceShape
from backend.recognition.models import OPEN, READING, Contact, Face, Operation, User
from backend.recognition.operations import executor, results
from backend.recognition.operations.acceptance import accept
from backend.recognition.operations.commands import Command

_LOOK_AGAIN_S: Final = 2.0
"""Who waits is woken; a Redis that hangs wakes nobody, so after so long they look themselves."""

_RESERVED_S: Final = 30.0
"""A read is reserved for its caller for at most this long."""

ERASED: Final = "The call was erased in the meantime."


class CallFailed(Exception):
    """A call that came to nothing; the reason is for who called."""


def begin(call: Command, *, owner_id: int, timeout_s: float | None) -> Operation:
    """Accept a call and have it carried out; whoever calls will wait up to `timeout_s`.

    Raises `TooManyWaiting` or `Unavailable` when it cannot be taken now.
    """
    wait_s = _RESERVED_S if timeout_s is None else min(timeout_s, _RESERVED_S)
    operation = accept(call, owner_id=owner_id, wait_s=wait_s)
    if operation.prepared_at is None:
        operation.enqueue()
    else:  # without images no worker is needed
        executor.execute(operation.pk)
    return operation


def wait(operation: Operation, *, timeout_s: float | None) -> bool:
    """Whether the call has ended, as soon as it has, within `timeout_s`; None waits for ever.

    `operation` is up to date then. Raises `CallFailed` if it is erased meanwhile.
    """
    deadline, seen = None if timeout_s is None else time.monotonic() + timeout_s, "0"
    while True:
        _look(operation)
        if operation.has_ended:
            return True
        left_s = _LOOK_AGAIN_S if deadline is None else deadline - time.monotonic()
        if left_s <= 0:
            return False
        seen = wakeups.wait(
            "operation", operation.pk, seen=seen, timeout_s=min(_LOOK_AGAIN_S, left_s)
        )


def follow(operation: Operation) -> bool:
    """The caller stops waiting: publish an event at the end. False if it has ended already."""
    Operation.objects.filter(pk=operation.pk).update(notify_on_end=True, caller_waits_until=None)
    operation.refresh_from_db()
    if operation.has_ended:
        return False
    if operation.prepared_at is not None:
        operation.enqueue()
    return True


def changes(operation: Operation) -> ChangesShape:
    """The answer to an ended change. Raises `CallFailed` if nothing of it can be told."""
    result = operation.result or {}
    if operation.status == Status.FAILED and not result.get("error"):
        raise CallFailed(operation.reason)
    return results.changes(result, user_id=operation.user.user_id)


def recognised(operation: Operation) -> list[FaceShape] | None:
    """The answer to an ended recognition. Raises `CallFailed` if there is none."""
    if operation.status == Status.FAILED:
        raise CallFailed(operation.reason)
    found: list[dict[str, Any]] | None = (operation.result or {}).get("faces")
    if found is None:
        return None
    return results.candidates(found, user_id=operation.user.user_id)


def find_operation(owner_id: int, id: uuid.UUID) -> Operation | None:
    return Operation.objects.select_related("user").filter(owner_id=owner_id, pk=id).first()


def find_user(owner_id: int, user_id: int) -> User | None:
    """The user, also one that is only about to be."""
    return User.objects.filter(owner_id=owner_id, user_id=user_id).first()


def settle(user: User, *, timeout_s: float | None) -> int:
    """Wait for the changes that were accepted until now; how many have not ended in time."""
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    accepted = Operation.objects.filter(OPEN, user=user, sequence__lte=user.accepted_seq)
    changes = accepted.exclude(kind__in=READING)
    for operation in changes.order_by("sequence"):
        left_s = None if deadline is None else max(0.0, deadline - time.monotonic())
        if not wait(operation, timeout_s=left_s):
            break
    return changes.count()


def faces(
    user: User, *, contact_id: int | None = None, after: int = 0, at_most: int | None = None
) -> list[FaceShape]:
    """The faces of a user, or of one contact, in the order in which they came."""
    rows = user.faces.filter(pk__gt=after).select_related("contact").order_by("id")
    if contact_id is not None:
        rows = rows.filter(contact__contact_id=contact_id)
    return [_shape(face, user) for face in rows[:at_most]]


def face(contact: Contact, face_id: int) -> FaceShape | None:
    found = contact.faces.select_related("contact").filter(face_id=face_id).first()
    return None if found is None else _shape(found, contact.user)


def _shape(face: Face, user: User) -> FaceShape:
    return results.structure(face, user_id=user.user_id, contact_id=face.contact.contact_id)


def find_contact(user: User, contact_id: int) -> Contact | None:
    contacts = user.contacts.annotate(faces_count=Count("faces"))
    return contacts.filter(contact_id=contact_id).first()


def _look(operation: Operation) -> None:
    """Refresh the row; apply it here if it is reserved for its caller."""
    try:
        reserved = Operation.reserved().filter(pk=operation.pk)
        # Looked at first: an UPDATE locks SQLite's file even where it finds no row.
        if reserved.exists() and reserved.update(caller_waits_until=None):
            executor.execute(operation.pk)
        operation.refresh_from_db()
    except Operation.DoesNotExist:
        raise CallFailed(ERASED) from None
