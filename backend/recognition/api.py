"""The Python interface: the contract's six functions, and those beyond it.

Each returns when its call has taken effect, without a time limit; workers must be running. Calls on
one user take effect in the order in which they were accepted, here or over HTTP. `client_id` is the
client that owns the galleries: by default the one of callers without a key.

A face has its `face_url`, or its bytes as `image`. `detector` names the face detector; empty, it is
the service's. An invalid structure raises `ValueError`; a
recognition whose image cannot be downloaded or read raises `CallFailed`; `TooManyWaiting` and
`Unavailable` are raised where HTTP answers 429 and 503.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from backend.clients.models import ANONYMOUS_ID
from backend.recognition.contract import ChangesShape, ContactInput, FaceShape, UserInput, validated
from backend.recognition.models import Operation
from backend.recognition.operations import commands, service
from backend.recognition.operations.commands import Command
from backend.recognition.operations.service import CallFailed as CallFailed  # part of the interface

Faces = Sequence[Mapping[str, Any]]


def add_faces(
    user_id: int,
    contact_id: int,
    faces: Faces,
    *,
    client_id: int = ANONYMOUS_ID,
    detector: str = "",
) -> ChangesShape:
    """Add faces that identify the contact. User and contact are made if they are new.

    A face that the contact has already is in `not_found`; one whose image cannot be downloaded or
    read is in `error`, with the `reason`. An image without a face is added with `is_face` false.
    """
    command = commands.add(user_id, contact_id, faces)
    return _changed(commands.by_detector(command, detector), client_id)


def delete_faces(
    user_id: int, contact_id: int, faces: Faces, *, client_id: int = ANONYMOUS_ID
) -> ChangesShape:
    """Delete these faces, by their `face_id`."""
    return _changed(commands.delete(user_id, contact_id, faces), client_id)


def delete_contact(user_id: int, contact_id: int, *, client_id: int = ANONYMOUS_ID) -> ChangesShape:
    """Delete the contact and all its faces."""
    return _changed(commands.delete_contact(user_id, contact_id), client_id)


def delete_user(user_id: int, *, client_id: int = ANONYMOUS_ID) -> ChangesShape:
    """Delete the user, all its contacts and all their faces."""
    return _changed(commands.delete_user(user_id), client_id)


def get_faces(
    user_id: int, contact_id: int | None = None, *, client_id: int = ANONYMOUS_ID
) -> list[FaceShape]:
    """The faces of the contact, or of all contacts, after all calls accepted before this one."""
    if contact_id is None:
        validated(UserInput, user_id=user_id)
    else:
        validated(ContactInput, user_id=user_id, contact_id=contact_id)
    user = service.find_user(client_id, user_id)
    if user is None:
        return []
    service.settle(user, timeout_s=None)
    return service.faces(user, contact_id=contact_id)


def recognize_face(
    user_id: int,
    face_url: str | bytes,
    *,
    client_id: int = ANONYMOUS_ID,
    detector: str = "",
) -> list[FaceShape] | None:
    """None if there is no face in the image; else up to three faces of different contacts, the most
    likely first, each with its `recognition_confidence`.
    """
    command = commands.by_detector(commands.recognise(user_id, face_url), detector)
    operation = _ended(command, client_id)
    return service.recognised(operation)


def merge_contacts(
    user_id: int, contact_id: int, from_contact_id: int, *, client_id: int = ANONYMOUS_ID
) -> ChangesShape:
    """Make all faces of `from_contact_id` the contact's; they keep their ids and are in `added`.

    Where the contact has the `face_id` already, a face of the same image is in `deleted`; one of
    another image stays, is in `not_found`, and keeps `from_contact_id` from being deleted.
    """
    return _changed(commands.merge(user_id, contact_id, from_contact_id), client_id)


def move_face(
    user_id: int,
    contact_id: int,
    face_id: int,
    to_contact_id: int,
    *,
    client_id: int = ANONYMOUS_ID,
) -> ChangesShape:
    """Make one face of the contact another contact's; it keeps its id and is in `added`."""
    call = commands.move(user_id, contact_id, [{"face_id": face_id}], to=to_contact_id)
    return _changed(call, client_id)


def rename_contact(
    user_id: int, contact_id: int, name: str, *, client_id: int = ANONYMOUS_ID
) -> bool:
    """Give the contact a name; False if there is no such contact."""
    operation = _ended(commands.rename(user_id, contact_id, name), client_id)
    service.changes(operation)
    return bool((operation.result or {}).get("renamed"))


def _changed(call: Command, client_id: int) -> ChangesShape:
    return service.changes(_ended(call, client_id))


def _ended(call: Command, client_id: int) -> Operation:
    operation = service.begin(call, owner_id=client_id, timeout_s=None)
    service.wait(operation, timeout_s=None)
    return operation
