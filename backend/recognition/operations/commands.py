"""The commands on galleries, validated. Each raises `InvalidInput`, which is a `ValueError`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from django.core.files.base import File

from backend.recognition import contract
from backend.recognition.contract import FaceShape, validated
from backend.recognition.models import Kind

Faces = Sequence[Mapping[str, Any]]
Bytes: TypeAlias = "bytes | File[Any]"


@dataclass(frozen=True)
class Command:
    """A validated command. `urls` and `sent` are its images, by their place among its faces."""

    kind: Kind
    user_id: int
    contact_id: int | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    urls: Mapping[int, str] = field(default_factory=dict)
    sent: Mapping[int, Bytes] = field(default_factory=dict)


def add(user_id: int, contact_id: int, faces: Faces) -> Command:
    given = validated(
        contract.NewFacesInput, user_id=user_id, contact_id=contact_id, faces=_as_list(faces)
    )
    images = [face.get("image") for face in given["faces"]]
    sent = {position: image for position, image in enumerate(images) if image is not None}
    found = _structures(given)
    return Command(
        Kind.ADD,
        user_id,
        contact_id,
        arguments={"faces": found},
        sent=sent,
        urls={at: each["face_url"] for at, each in enumerate(found) if at not in sent},
    )


def delete(user_id: int, contact_id: int, faces: Faces) -> Command:
    given = validated(
        contract.FacesInput, user_id=user_id, contact_id=contact_id, faces=_as_list(faces)
    )
    return Command(Kind.DELETE, user_id, contact_id, {"faces": _structures(given)})


def delete_contact(user_id: int, contact_id: int) -> Command:
    validated(contract.ContactInput, user_id=user_id, contact_id=contact_id)
    return Command(Kind.DELETE_CONTACT, user_id, contact_id)


def delete_user(user_id: int) -> Command:
    validated(contract.UserInput, user_id=user_id)
    return Command(Kind.DELETE_USER, user_id)


def recognise(user_id: int, image: Any) -> Command:
    """`image` is a URL, or bytes."""
    if isinstance(image, str):
        given = validated(contract.ProbeInput, user_id=user_id, face_url=image)
        return Command(Kind.RECOGNISE, user_id, urls={0: given["face_url"]})
    given = validated(contract.ProbeInput, user_id=user_id, image=image)
    return Command(Kind.RECOGNISE, user_id, sent={0: given["image"]})


def merge(user_id: int, contact_id: int, from_contact_id: int) -> Command:
    numbers = {"contact_id": contact_id, "from_contact_id": from_contact_id}
    validated(contract.MergeInput, user_id=user_id, **numbers)
    return Command(Kind.MERGE, user_id, contact_id, {"from_contact_id": from_contact_id})


def move(user_id: int, contact_id: int, faces: Faces, *, to: int) -> Command:
    given = validated(
        contract.MoveInput,
        user_id=user_id,
        contact_id=contact_id,
        faces=_as_list(faces),
        to_contact_id=to,
    )
    arguments = {"faces": _structures(given), "from_contact_id": contact_id}
    return Command(Kind.MOVE, user_id, to, arguments)


def rename(user_id: int, contact_id: int, name: str) -> Command:
    validated(contract.RenameInput, user_id=user_id, contact_id=contact_id, name=name)
    return Command(Kind.RENAME, user_id, contact_id, {"name": name})


def _as_list(faces: Any) -> Any:
    """REST framework's lists are JSON's alone."""
    return list(faces) if isinstance(faces, Sequence) and not isinstance(faces, str) else faces


def _structures(given: Mapping[str, Any]) -> list[FaceShape]:
    """The faces of a command, with the keys that an answer repeats."""
    return [_structure(face, given["user_id"], given["contact_id"]) for face in given["faces"]]


def _structure(face: Mapping[str, Any], user_id: int, contact_id: int) -> FaceShape:
    found = FaceShape(
        user_id=user_id,
        contact_id=contact_id,
        face_id=face["face_id"],
        face_url=face.get("face_url") or "",
        external_id=face.get("external_id"),
    )
    if face.get("score") is not None:
        found["score"] = face["score"]
    return found
