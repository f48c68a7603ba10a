"""Commands on a client's galleries: begun, awaited, answered."""

from __future__ import annotations

import time
import uuid
from typing import Final

from django.db import models
from django.db.models import Count, Exists, OuterRef, QuerySet, Subquery

from backend.common.jobs import wakeups
from backend.common.jobs.models import Status
from backend.recognition.contract import ChangesShape, DecidedShape, FaceShape, RecognisedFacesShape
from backend.recognition.models import OPEN, READING, Contact, Face, FaceCrop, Operation, User
from backend.recognition.operations import executor, rejections, results
from backend.recognition.operations.acceptance import accept
from backend.recognition.operations.commands import Command

_LOOK_AGAIN_S: Final = 2.0
"""A wake-up ends the wait at once; a Redis that hangs sends none, so the row is read this often."""

_RESERVED_S: Final = 30.0
"""A read is reserved for its caller for at most this long."""

ERASED: Final = "The call was erased in the meantime."


class CallFailed(Exception):
    """A call without a result; the message is for the caller."""


class NotThere(CallFailed):
    """The user or the contact of the call does not exist."""


def begin(command: Command, *, owner_id: int, timeout_s: float | None) -> Operation:
    """Accept a command and start it; the caller is going to wait up to `timeout_s`.

    Raises `TooManyWaiting` or `Unavailable` when it cannot be accepted now.
    """
    wait_s = _RESERVED_S if timeout_s is None else min(timeout_s, _RESERVED_S)
    operation = accept(command, owner_id=owner_id, wait_s=wait_s)
    if operation.prepared_at is None:
        operation.enqueue()
    else:  # without images no worker is needed
        executor.execute(operation.pk)
    return operation


def wait(operation: Operation, *, timeout_s: float | None) -> bool:
    """Wait until the operation has ended; whether it has within `timeout_s`, None for no bound.

    `operation` is up to date afterwards. Raises `CallFailed` if it is erased meanwhile.
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
    """The answer to an ended change. Raises `CallFailed` if it has none."""
    result = operation.result or {}
    if operation.status == Status.FAILED and not result.get("error"):
        raise CallFailed(operation.reason)
    return results.changes(result, user_id=operation.user.user_id)


def recognised(operation: Operation) -> list[FaceShape] | None:
    """The answer to an ended recognition of one face. Raises `CallFailed` if there is none."""
    result = _recognition(operation)
    return None if result.get("faces") is None else results.candidates(result)


def recognition(operation: Operation) -> list[FaceShape] | RecognisedFacesShape | None:
    """The answer to an ended recognition of one face or of all. Raises `CallFailed`."""
    result = _recognition(operation)
    return results.recognised_faces(result) if "all" in result else recognised(operation)


def _recognition(operation: Operation) -> results.Result:
    if operation.status == Status.FAILED:
        missing = operation.reason == executor.NO_GALLERY
        raise (NotThere if missing else CallFailed)(operation.reason)
    return operation.result or {}


def rejection(operation: Operation) -> bool:
    """Whether the face is rejected after the ended operation. Raises `CallFailed`."""
    if operation.status == Status.FAILED:
        missing = operation.reason == rejections.NO_CONTACT
        raise (NotThere if missing else CallFailed)(operation.reason)
    return bool((operation.result or {}).get("rejected"))


def decided(operation: Operation) -> DecidedShape:
    """The answer to ended decisions. Raises `CallFailed`."""
    if operation.status == Status.FAILED and operation.reason == rejections.NO_CONTACT:
        raise NotThere(operation.reason)
    rejected = (operation.result or {}).get("rejected", 0)
    return DecidedShape(**changes(operation), rejected=rejected, operation_id=str(operation.pk))


def find_operation(owner_id: int, id: uuid.UUID) -> Operation | None:
    return Operation.objects.select_related("user").filter(owner_id=owner_id, pk=id).first()


def find_user(owner_id: int, user_id: int) -> User | None:
    """The user, even if only operations on it exist."""
    return User.objects.filter(owner_id=owner_id, user_id=user_id).first()


def settle(user: User, *, timeout_s: float | None) -> int:
    """Wait for the changes accepted so far; returns how many have not ended in time."""
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
    rows = _listed(user.faces).filter(pk__gt=after).order_by("id")
    if contact_id is not None:
        rows = rows.filter(contact__contact_id=contact_id)
    return [results.listed(face) for face in rows[:at_most]]


def face(contact: Contact, face_id: int) -> FaceShape | None:
    found = _listed(contact.faces).filter(face_id=face_id).first()
    return None if found is None else results.listed(found)


def _listed(faces: models.Manager[Face]) -> QuerySet[Face]:
    has_crop = Exists(FaceCrop.objects.filter(face=OuterRef("pk")))
    return faces.select_related("contact", "user").annotate(has_crop=has_crop)


def contacts(user: User) -> QuerySet[Contact]:
    """With the number of faces, and the `face_id` of the best one that has a crop."""
    with_crop = Face.objects.filter(contact=OuterRef("pk"), crop__isnull=False)
    best = with_crop.order_by("-score", "id").values("face_id")[:1]
    found = user.contacts.select_related("user").order_by("contact_id")
    return found.annotate(faces_count=Count("faces"), crop_face_id=Subquery(best))


def find_contact(user: User, contact_id: int) -> Contact | None:
    return contacts(user).filter(contact_id=contact_id).first()


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
