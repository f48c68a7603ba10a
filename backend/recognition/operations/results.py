"""The results of operations as they are stored, and as they are answered.

Of a face in a gallery a result stores numbers only. The rest is read from its row for each answer,
so that a face that is deleted later leaves nothing in earlier results.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

from backend.common.http.service_url import service_url
from backend.recognition.contract import (
    LISTS,
    CandidateShape,
    ChangesShape,
    FaceShape,
    RecognisedFacesShape,
)
from backend.recognition.gallery import confidence
from backend.recognition.models import Contact, Face

Entry = dict[str, Any]
"""One face in a stored result."""

Result = dict[str, Any]


def empty() -> Result:
    return {name: [] for name in LISTS}


def stored(face: Face, contact: Contact, reason: str = "") -> Entry:
    """A face in the gallery."""
    return {
        "contact_id": contact.contact_id,
        "face_id": face.face_id,
        "score": face.score,
        "id": face.pk,
        "is_face": face.is_face,
        "reason": reason or None,
    }


def deleted(face: Face) -> Entry:
    """A face that is deleted with the operation, and cannot be read later."""
    known = {"face_url": face.face_url, "external_id": face.external_id}
    return {**stored(face, face.contact), **known}


def requested(face: Mapping[str, Any], reason: str) -> Entry:
    """A face that is in no gallery: as the caller sent it, without numbers that it left open."""
    left_out = {"user_id", *(key for key in ("contact_id", "face_id") if face.get(key) is None)}
    return {**{key: face[key] for key in face if key not in left_out}, "reason": reason}


def redactable(result: Result) -> list[Entry]:
    """The entries that may hold a URL or an external id: those of faces in no gallery."""
    return [entry for name in LISTS if name != "added" for entry in result.get(name, [])]


def redact(entry: Entry) -> bool:
    """Remove what identifies the face; whether there was anything."""
    identifies = bool(entry.get("face_url")) or entry.get("external_id") is not None
    if entry.pop("submission", None) is not None or identifies:
        identifies = True
        entry.update(face_url="", external_id=None, reason=None)
    return identifies


def structure(face: Face) -> FaceShape:
    """The face data structure of a face in a gallery."""
    return FaceShape(
        user_id=face.user.user_id,
        contact_id=face.contact.contact_id,
        face_id=face.face_id,
        face_url=face.face_url,
        external_id=face.external_id,
        score=face.score,
        id=face.pk,
        is_face=face.is_face,
        reason=face.note or None,
    )


def listed(face: Face) -> FaceShape:
    """The structure of a face with `has_crop`, as lists have it."""
    numbers = (face.user.user_id, face.contact.contact_id, face.face_id)
    has_crop = face.has_crop  # type: ignore[attr-defined]  # an annotation
    url = crop_url(*numbers) if has_crop else None
    return FaceShape(**structure(face), crop_url=url, is_used=face.is_indexed)


def crop_url(user_id: int, contact_id: int, face_id: int) -> str:
    path = f"recognition/users/{user_id}/contacts/{contact_id}/faces/{face_id}/crop.jpg"
    return f"{service_url()}/{path}"


def changes(result: Mapping[str, Any], *, user_id: int) -> ChangesShape:
    """The answer to a change."""
    entries = {name: result.get(name, []) for name in LISTS}
    ids = [entry["id"] for some in entries.values() for entry in some if "id" in entry]
    rows = Face.objects.in_bulk(ids)
    answer = {
        name: [_completed(entry, rows.get(entry.get("id", 0)), user_id) for entry in some]
        for name, some in entries.items()
    }
    return cast(ChangesShape, answer)


def candidates(result: Result) -> list[FaceShape]:
    """The answer to a recognition of one face: the candidates that still exist."""
    found = result["faces"]
    rows, count = _rows(found), result.get("faces_count")
    counted = {} if count is None else {"faces_count": count}
    return [FaceShape(**each, **counted) for each in _candidates(found, rows)]  # type: ignore[typeddict-item]


def recognised_faces(result: Result) -> RecognisedFacesShape:
    """The answer to a recognition of all faces, with the candidates that still exist."""
    rows = _rows([entry for face in result["all"] for entry in face["candidates"]])
    faces = [{**face, "candidates": _sure(face["candidates"], rows)} for face in result["all"]]
    return cast(RecognisedFacesShape, {"faces": faces})


def _sure(found: Iterable[Entry], rows: Mapping[int, Face]) -> list[CandidateShape]:
    enrolled = {entry["id"]: entry["is_enrolled"] for entry in found}
    return [
        CandidateShape(
            **each,
            certainty=confidence.in_a_word(each["recognition_confidence"]),
            is_enrolled=enrolled[each["id"]],
            is_hidden=rows[each["id"]].contact.is_hidden,
        )
        for each in _candidates(found, rows)
    ]


def _rows(found: Iterable[Entry]) -> dict[int, Face]:
    ids = {entry["id"] for entry in found}
    return Face.objects.select_related("contact", "user").in_bulk(ids)


def _candidates(found: Iterable[Entry], rows: Mapping[int, Face]) -> list[FaceShape]:
    return [
        FaceShape(
            **structure(rows[entry["id"]]),
            name=rows[entry["id"]].contact.name,
            recognition_confidence=entry["recognition_confidence"],
            distance=entry["distance"],
        )
        for entry in found
        if entry["id"] in rows
    ]


def _completed(entry: Entry, face: Face | None, user_id: int) -> FaceShape:
    rest = {
        "user_id": user_id,
        "face_url": face.face_url if face else "",
        "external_id": face.external_id if face else None,
    }
    return FaceShape(**{**rest, **entry})  # type: ignore[typeddict-item]
