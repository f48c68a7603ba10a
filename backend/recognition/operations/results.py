"""How a face stands in the result of a call.

Of a face that is in a gallery a result holds no more than numbers; the rest is read from its row
when somebody asks, so that a face deleted later leaves nothing of it in the answers before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from backend.recognition.contract import LISTS, ChangesShape, FaceShape
from backend.recognition.models import Face

Entry = dict[str, Any]


def stored(face: Face, *, contact_id: int, reason: str = "") -> Entry:
    """A face that is in the gallery."""
    return {
        "contact_id": contact_id,
        "face_id": face.face_id,
        "score": face.score,
        "id": face.pk,
        "is_face": face.is_face,
        "reason": reason or None,
    }


def deleted(face: Face, *, contact_id: int) -> Entry:
    """A face that goes, and cannot be looked up again."""
    known = {"face_url": face.face_url, "external_id": face.external_id}
    return {**stored(face, contact_id=contact_id), **known}


def requested(face: Mapping[str, Any], reason: str) -> Entry:
    """A face that is in no gallery: as the caller sent it."""
    return {**{key: face[key] for key in face if key != "user_id"}, "reason": reason}


def echoes(result: Mapping[str, Any]) -> list[Entry]:
    """The entries that may repeat what a caller sent: those of faces in no gallery."""
    return [entry for name in LISTS if name != "added" for entry in result.get(name, [])]


def redact(entry: Entry) -> bool:
    """Remove what identifies the face; whether there was anything."""
    identifies = bool(entry.get("face_url")) or entry.get("external_id") is not None
    if identifies:
        entry.update(face_url="", external_id=None, reason=None)
    return identifies


def structure(face: Face, *, user_id: int, contact_id: int) -> FaceShape:
    """The face data structure of a face of a gallery."""
    return FaceShape(
        user_id=user_id,
        contact_id=contact_id,
        face_id=face.face_id,
        face_url=face.face_url,
        external_id=face.external_id,
        score=face.score,
        id=face.pk,
        is_face=face.is_face,
        reason=face.note or None,
    )


def changes(result: Mapping[str, Any], *, user_id: int) -> ChangesShape:
    """The answer to a change, as it is told."""
    ids = [entry["id"] for name in LISTS for entry in result.get(name, []) if "id" in entry]
    rows = Face.objects.in_bulk(ids)

    def told(name: str) -> list[FaceShape]:
        return [_told(entry, rows, user_id) for entry in result.get(name, [])]

    return ChangesShape(
        added=told("added"),
        deleted=told("deleted"),
        not_found=told("not_found"),
        error=told("error"),
    )


def candidates(found: Iterable[Mapping[str, Any]], *, user_id: int) -> list[FaceShape]:
    """The answer to a recognition: of the faces that are still there."""
    entries = list(found)
    rows = Face.objects.select_related("contact").in_bulk([entry["id"] for entry in entries])
    return [
        FaceShape(
            **structure(face, user_id=user_id, contact_id=face.contact.contact_id),
            recognition_confidence=entry["recognition_confidence"],
            distance=entry["distance"],
        )
        for entry in entries
        if (face := rows.get(entry["id"])) is not None
    ]


def _told(entry: Entry, rows: Mapping[int, Face], user_id: int) -> FaceShape:
    face = rows.get(entry.get("id", 0))
    rest = {
        "user_id": user_id,
        "face_url": face.face_url if face else "",
        "external_id": face.external_id if face else None,
    }
    return FaceShape(**{**rest, **entry})  # type: ignore[typeddict-item]
