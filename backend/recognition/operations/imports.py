"""Imports of large exported users: accepted as operations, read and stored by a worker."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from itertools import islice
from typing import IO, Any, Final, cast

from django.core.files.base import File
from django.core.files.storage import default_storage
from django.db import transaction

from backend.clients.limits import quota
from backend.common.jobs.models import JobError, Status
from backend.common.storage import orphans
from backend.recognition.gallery import locking
from backend.recognition.models import Kind, Operation
from backend.recognition.operations import acceptance
from backend.recognition.transfer import importer
from backend.recognition.transfer.jsonl import Unreadable

logger = logging.getLogger(__name__)

TAKEN_OVER: Final = "Another worker took this call over."

_FOLDER: Final = "gallery_imports"


def begin(file: File[Any], *, owner_id: int, user_id: int) -> Operation:
    """Store `file` and accept its import. Raises `NotEmpty`, or what refuses a client's calls."""
    name = default_storage.save(f"{_FOLDER}/{uuid.uuid4()}", file)
    try:
        operation = _inserted(name, owner_id, user_id)
    except BaseException:
        default_storage.delete(name)
        raise
    logger.info("accepted operation=%s kind=%s", operation.pk, operation.kind)
    operation.enqueue()
    return operation


def _inserted(name: str, owner_id: int, user_id: int) -> Operation:
    with transaction.atomic():
        quota.reserve(owner_id, 0)  # no bytes, but it refuses a client that is being erased
        acceptance.refuse_if_too_many_wait(owner_id)
        user = acceptance.next_in_line(owner_id, user_id)
        importer.refuse_unless_empty(user)
        return Operation.objects.create(
            owner_id=owner_id,
            user=user,
            sequence=user.accepted_seq,
            kind=Kind.IMPORT,
            file_name=name,
        )


def run(operation: Operation) -> None:
    """Read the file of a claimed import, store it, and end the operation."""
    contents = _contents(operation)

    def check() -> None:
        ours = {"status": Status.PROCESSING, "claimed_by": operation.claimed_by}
        rows = Operation.objects.select_for_update().filter(pk=operation.pk)
        if not rows.filter(**ours, attempts=operation.attempts).exists():
            raise JobError(TAKEN_OVER, permanent=False)

    imported = importer.store_in_steps(contents, operation.user, check)
    with transaction.atomic():
        user = locking.lock(operation.user_id)
        importer.appear(user, imported)
        if not operation.succeed(result=vars(imported)):
            raise JobError(TAKEN_OVER, permanent=False)


def _contents(operation: Operation) -> importer.Contents:
    try:
        with default_storage.open(operation.file_name) as file:
            return importer.Contents.of(cast(IO[bytes], file))
    except Unreadable as error:
        raise JobError(str(error), permanent=True) from error


def is_unreadable(operation: Operation) -> bool:
    """Whether the file of the failed import is to blame; the reason names the line."""
    return operation.reason.startswith(str(Unreadable.AT))


def clean_up(operation: Operation) -> None:
    """Delete the file of an ended import, and of a failed one what it stored."""
    if not operation.file_name:
        return
    if operation.status == Status.FAILED:
        importer.discard(operation.user)
    default_storage.delete(operation.file_name)
    Operation.objects.filter(pk=operation.pk).update(file_name="")


def stray_files() -> Iterator[str]:
    """Names of stored files without an operation: left by a crash in between."""
    files = orphans.older_than_a_day(default_storage, [_FOLDER])
    while names := list(islice(files, 500)):
        rows = Operation.objects.filter(file_name__in=names)
        wanted = set(rows.values_list("file_name", flat=True))
        yield from (name for name in names if name not in wanted)
