"""The commands on galleries, validated. Each raises `InvalidInput`, which is a `ValueError`."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias

from django.core.files.base import File

from backend.recognition import contract
from backend.recognition.contract import FaceShape, validated
from backend.recognition.models import Kind

DEFAULT_SCORE: Final = 1.0
"""Of a face of a submission that was sent without one."""

SEARCHING: Final = (Kind.ADD, Kind.RECOGNISE)
"""Commands whose images are searched for faces."""

Faces = Sequence[Mapping[str, Any]]
Bytes: TypeAlias = "bytes | File[Any]"


@dataclass(frozen=True)
class Submitted:
    """A face of an image that the client has submitted; without `face` the largest, or all."""

    id: uuid.UUID
    face: int | None = None


@dataclass(frozen=True)
class Command:
    """A validated command. Its images are in one of the mappings, by their place among its faces.

    A new contact has no `contact_id` yet.
    """

    kind: Kind
    user_id: int
    contact_id: int | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    urls: Mapping[int, str] = field(default_factory=dict)
    sent: Mapping[int, Bytes] = field(default_factory=dict)
    submitted: Mapping[int, Submitted] = field(default_factory=dict)
    detector: str = ""
    """That is to find the faces; empty: the service's."""


def add(user_id: int, contact_id: int, faces: Faces) -> Command:
    given = validated(
        contract.NewFacesInput, user_id=user_id, contact_id=contact_id, faces=_as_list(faces)
    )
    return _adding(given, user_id, contact_id)


def enrol(user_id: int, faces: Faces, name: str = "") -> Command:
    """Faces of a new contact, which is made with the first face that can be added."""
    given = validated(
        contract.NewContactInput, user_id=user_id, faces=_as_list(faces), name=name or ""
    )
    return _adding(given, user_id, None, name=given["name"])


def _adding(given: Mapping[str, Any], user_id: int, contact_id: int | None, **more: Any) -> Command:
    faces = list(enumerate(given["faces"]))
    structures = [_new_structure(face, user_id, contact_id) for _, face in faces]
    sent = {at: each["image"] for at, each in faces if each.get("image") is not None}
    submitted = {
        at: Submitted(each["submission"], each["face"])
        for at, each in faces
        if each.get("submission") is not None
    }
    return Command(
        Kind.ADD,
        user_id,
        contact_id,
        arguments={"faces": structures, **more},
        urls={at: each["face_url"] for at, each in faces if at not in sent | submitted},
        sent=sent,
        submitted=submitted,
    )


def by_detector(command: Command, detector: str) -> Command:
    """The command, with its faces found by this detector; empty: the service's."""
    given = validated(contract.DetectorInput, detector=detector)
    return replace(command, detector=given["detector"])


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


def recognise(user_id: int, image: Any = None, **options: Any) -> Command:
    """`image` is a URL, or bytes, or None where the options name a `submission`.

    Any option makes a gallery that does not exist an error; the contract's answer is an empty list.
    """
    name = "face_url" if isinstance(image, str) else "image"
    images = {} if image is None else {name: image}
    given = validated(contract.ProbeInput, user_id=user_id, **images, **options)
    arguments: dict[str, Any] = {}
    if options:
        wanted = {key: given.get(key) for key in ("faces", "min_confidence", "limit")}
        arguments = {"wanted": wanted}
    return Command(Kind.RECOGNISE, user_id, None, arguments, **_probe(given))


def _probe(given: Mapping[str, Any]) -> dict[str, Any]:
    if given.get("submission") is not None:
        return {"submitted": {0: Submitted(given["submission"], given.get("face"))}}
    if given.get("image") is not None:
        return {"sent": {0: given["image"]}}
    return {"urls": {0: given["face_url"]}}


def reject(user_id: int, contact_id: int, *, is_rejected: bool, **face: Any) -> Command:
    """A face of a `submission` is not the contact's; or take that back."""
    given = validated(contract.RejectionInput, user_id=user_id, contact_id=contact_id, **face)
    kind = Kind.REJECT if is_rejected else Kind.UNREJECT
    return Command(kind, user_id, contact_id, **_probe(given))


def decide(user_id: int, contact_id: int, *, yes: Any, no: Any) -> Command:
    """Faces of submissions are the contact's, others are not."""
    lists = {"yes": [] if yes is None else yes, "no": [] if no is None else no}
    given = validated(contract.DecisionsInput, user_id=user_id, contact_id=contact_id, **lists)
    enrolled = [_new_structure(face, user_id, contact_id) for face in given["yes"]]
    rejected = [_new_structure(face, user_id, contact_id) for face in given["no"]]
    places = [Submitted(each["submission"], each["face"]) for each in given["yes"] + given["no"]]
    return Command(
        Kind.DECIDE,
        user_id,
        contact_id,
        {"faces": enrolled, "rejected": rejected},
        submitted=dict(enumerate(places)),
    )


def undo(user_id: int, operation: uuid.UUID) -> Command:
    """Undo a decision or a merge."""
    validated(contract.UserInput, user_id=user_id)
    return Command(Kind.UNDO, user_id, None, {"of": str(operation)})


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
    return change(user_id, contact_id, name=name)


def change(user_id: int, contact_id: int, **changes: Any) -> Command:
    """The `name` of a contact, or whether it `is_hidden`, or both."""
    validated(contract.ContactChangesInput, user_id=user_id, contact_id=contact_id, **changes)
    return Command(Kind.RENAME, user_id, contact_id, changes)


def _as_list(faces: Any) -> Any:
    """REST framework's lists are JSON's alone."""
    return list(faces) if isinstance(faces, Sequence) and not isinstance(faces, str) else faces


def _structures(given: Mapping[str, Any]) -> list[FaceShape]:
    """The faces of a command, with the keys that an answer repeats."""
    return [_structure(face, given["user_id"], given["contact_id"]) for face in given["faces"]]


def _new_structure(face: Mapping[str, Any], user_id: int, contact_id: int | None) -> dict[str, Any]:
    """As `_structure`, with what the server is to choose as None."""
    found: dict[str, Any] = {**_structure({"face_id": None, **face}, user_id, contact_id or 0)}
    found["contact_id"] = contact_id
    if face.get("submission") is not None:
        found |= {"score": DEFAULT_SCORE, "submission": str(face["submission"])} | found
        found["face"] = face["face"]
    return found


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
