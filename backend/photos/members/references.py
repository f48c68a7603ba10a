"""The reference faces of a member: at most five, each processing, done, or rejected."""

from __future__ import annotations

import logging
from typing import Any, Final

from django.core.files.base import File
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from backend.common.http.upload_fields import sha256_of
from backend.photos.files import storage
from backend.photos.files.storage import UploadRejected
from backend.photos.models import Extraction, Member, Reference

logger = logging.getLogger(__name__)

MAX_REFERENCES: Final = 5
"""Per member, without those that are rejected or marked for deletion."""

_MAX_ROWS: Final = 50
"""Per member in all: marked ones stay for half a year, so repeated uploads would fill the disk."""

TOO_MANY: Final = f"You can have at most {MAX_REFERENCES} reference faces."
TOO_MANY_KEPT: Final = "You have uploaded and deleted too many reference faces lately."
KNOWN: Final = "You have uploaded this picture already."
OPTED_OUT: Final = "You have opted out in the meantime."


def references_of(member: Member) -> QuerySet[Reference]:
    """The references that the member sees, the newest first."""
    return Reference.objects.filter(member=member, marked_for_deletion_at=None)


def add(member: Member, upload: File[Any], *, name: str, detector: str = "") -> Reference:
    """Add a reference; the first one opts in. Raises `UploadRejected`.

    `detector` is to find its face; empty: the service's.
    """
    storage.check_name(name)
    _refuse_too_many(member)  # before decoding; checked again under the lock
    storage.check_image(upload)
    reference = Reference(member=member, sha256=sha256_of(upload), detector=detector)
    storage.store_original(reference, upload, name=name)
    try:
        _insert(reference, member)
    except BaseException:
        storage.discard(reference)
        raise
    logger.info("accepted reference=%s member=%s", reference.pk, member.pk)
    return reference


def is_known(member: Member, upload: File[Any]) -> bool:
    """Whether one of the member's references has the same bytes; rejected ones do not count."""
    same = references_of(member).exclude(extraction=Extraction.REJECTED)
    return same.filter(sha256=sha256_of(upload)).exists()


def choose(reference: Reference, face: int) -> bool:
    """Of several faces, number `face` is the member's: its encoding is extracted, and no other.

    False if there is no such choice. Raises `UploadRejected` if the member has too many references.
    """
    waiting = Reference.objects.filter(pk=reference.pk, extraction=Extraction.REJECTED)
    with transaction.atomic():
        Member.objects.select_for_update().get(pk=reference.member_id)
        current = waiting.first()
        if current is None or not 0 <= face < len(current.boxes):
            return False
        _refuse_too_many(current.member)
        waiting.update(chosen=face)
        return storage.resubmit(current)


def mark_for_deletion(reference: Reference) -> bool:
    """Hide its matches now; `retention` erases it later. False if it was marked already."""
    unmarked = Reference.objects.filter(pk=reference.pk, marked_for_deletion_at=None)
    return bool(unmarked.update(marked_for_deletion_at=timezone.now()))


def _insert(reference: Reference, member: Member) -> None:
    with transaction.atomic():
        # Under the lock of the member's row, so that two uploads cannot both be the fifth.
        locked = Member.objects.select_for_update().get(pk=member.pk)
        if locked.opted_out_at != member.opted_out_at:
            raise UploadRejected(OPTED_OUT)
        _refuse_too_many(member)
        if locked.opted_in_at is None:
            Member.objects.filter(pk=member.pk).update(opted_in_at=timezone.now())
        reference.save(force_insert=True)
        transaction.on_commit(reference.enqueue)


def _refuse_too_many(member: Member) -> None:
    every = Reference.objects.filter(member=member)
    counted = every.filter(marked_for_deletion_at=None).exclude(extraction=Extraction.REJECTED)
    if counted.count() >= MAX_REFERENCES:
        raise UploadRejected(TOO_MANY)
    if every.count() >= _MAX_ROWS:
        raise UploadRejected(TOO_MANY_KEPT)
