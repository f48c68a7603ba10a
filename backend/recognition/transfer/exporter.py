"""Writes a user into one file, as of one moment: docs/galleries.md describes the lines."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import IO, Final

from django.db import transaction
from django.utils import timezone

from backend.recognition.gallery import locking
from backend.recognition.models import Face, Feedback, User
from backend.recognition.transfer.jsonl import FORMAT, KINDS, VERSION, Line

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
    # It changes faster than it can be written: nobody changes it now.
    with transaction.atomic():
        locking.lock(user.pk)
        _write_lines(user, file)


def _version(user: User) -> int:
    return User.objects.values_list("gallery_version", flat=True).get(pk=user.pk)


def _write_lines(user: User, file: IO[bytes]) -> None:
    counts = dict.fromkeys(KINDS, 0)
    head = {"format": FORMAT, "version": VERSION, "user_id": user.user_id}
    _write_line(file, {**head, "exported_at": timezone.now().isoformat()})
    for kind, written in zip(KINDS, (_contacts, _faces, _feedback), strict=True):
        for line in written(user):
            _write_line(file, {kind: line})
            counts[kind] += 1
    _write_line(file, {"end": counts})


def _write_line(file: IO[bytes], line: Line) -> None:
    file.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")


def _contacts(user: User) -> Iterator[Line]:
    rows = user.contacts.order_by("pk").values("contact_id", "name")
    yield from map(dict, rows.iterator(chunk_size=_BATCH))


def _faces(user: User) -> Iterator[Line]:
    rows = Face.objects.with_encodings().filter(user=user).select_related("contact")
    for face in rows.order_by("pk").iterator(chunk_size=_BATCH):
        encoding = face.encoding.astype("<f4").tobytes() if face.is_face else None
        yield {
            "id": face.pk,
            "contact_id": face.contact.contact_id,
            "face_id": face.face_id,
            "face_url": face.face_url,
            "external_id": face.external_id,
            "score": face.score,
            "is_face": face.is_face,
            "encoding": base64.b64encode(encoding).decode() if encoding else None,
            "model": face.model,
            "sha256": face.sha256,
            "note": face.note,
            "created_at": face.created_at.isoformat(),
        }


def _feedback(user: User) -> Iterator[Line]:
    rows = Feedback.objects.filter(user=user).select_related("named", "truth").order_by("pk")
    for row in rows.iterator(chunk_size=_BATCH):
        yield {
            "answer_id": str(row.answer_id),
            "is_right": row.is_right,
            "named": row.named and row.named.contact_id,
            "is_truth_known": row.is_truth_known,
            "truth": row.truth and row.truth.contact_id,
            "confidence": row.confidence,
            "created_at": row.created_at.isoformat(),
        }
