"""Writes a user into one file, as of one moment (docs/galleries.md has the format)."""

from __future__ import annotations

from typing import IO, Any, Final

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from backend.recognition.gallery import locking
from backend.recognition.models import Face, Feedback, User
from backend.recognition.transfer.jsonl import FORMAT, KINDS, VERSION, write_line

_BATCH: Final = 500
_TRIES: Final = 3


def write(user: User, file: IO[bytes]) -> None:
    """Write all of `user` to an empty `file`, as of one moment."""
    for _ in range(_TRIES):
        before = _version(user)
        _write_lines(user, file)
        if _version(user) == before:
            return
        file.seek(0)
        file.truncate()
    # It changes faster than it can be written, so changes have to wait now.
    with transaction.atomic():
        locking.lock(user.pk)
        _write_lines(user, file)


def _version(user: User) -> int:
    return User.objects.values_list("gallery_version", flat=True).get(pk=user.pk)


def _write_lines(user: User, file: IO[bytes]) -> None:
    counts = dict.fromkeys(KINDS, 0)
    head = {"format": FORMAT, "version": VERSION, "user_id": user.user_id}
    write_line(file, {**head, "exported_at": timezone.now().isoformat()})
    for kind, rows in _rows(user).items():
        for row in rows.order_by("pk").iterator(chunk_size=_BATCH):
            write_line(file, {kind: KINDS[kind].to_representation(row)})
            counts[kind] += 1
    write_line(file, {"end": counts})


def _rows(user: User) -> dict[str, QuerySet[Any]]:
    return {
        "contact": user.contacts.all(),
        "face": Face.objects.with_encodings().filter(user=user).select_related("contact"),
        "feedback": Feedback.objects.filter(user=user).select_related("named", "truth"),
    }
