"""Galleries for Python: the contract's six functions, and what goes beyond them.

They answer when the call has taken effect, however long that takes; workers must be running. Calls
on one user take effect in the order in which they were accepted, whoever made them, here or over
HTTP. `client_id` says whose galleries are meant: without it, those of callers without a key.

A face is given by its `face_url`, or by its bytes as `image`. A structure that cannot be used
raises `ValueError`; a recognition whose image cannot be had raises `CallFailed`; a service that
cannot take the call now raises what it answers over HTTP (`TooManyWaiting`, `Unavailable`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from backend.clients.models import ANONYMOUS_ID
from backend.recognition.contract import ChangesShape, ContactInput, FaceShape, UserInput, validated
from backend.recognition.models import Operation
from backend.recognition.operations import commands, service
from backend.recognition.operations.commands import Command
from backend.recognition.operations.service import CallFailed as CallFailed  # part of this door

Faces = Sequence[Mapping[str, Any]]


def add_faces(
    user_id: int, contact_id: int, faces: Faces, *, client_id: int = ANONYMOUS_ID
) -> ChangesShape:
    """From now on these faces identify the contact. User and contact are made where they are new.

    A face that the contact has already is in `not_found`; one whose image could not be had, in
    `error` with the `reason`. Where an image shows no face, it is added with `is_face` false.
    """
    return _changed(commands.add(user_id, contact_id, faces), client_id)


def delete_faces(
    user_id: int, contact_id: int, faces: Faces, *, client_id: int = ANONYMOUS_ID
) -> ChangesShape:
    """From now on these faces, known by their `face_id`, identify nobody."""
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
    """The faces of the contact, or of all the user's contacts, after all calls before this one."""
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
    user_id: int, face_url: str | bytes, *, client_id: int = ANONYMOUS_ID
) -> list[FaceShape] | None:
    """Whose face is this? None if there is no face in the image; else up to three faces, each of
    another contact, the most likely first, with its `recognition_confidence`.
    """
    operation = _ended(commands.recognise(user_id, face_url), client_id)
    return service.recognised(operation)


def merge_contacts(
    user_id: int, contact_id: int, from_contact_id: int, *, client_id: int = ANONYMOUS_ID
) -> ChangesShape:
    """Make all faces of `from_contact_id` the contact's; they keep their ids and are in `added`.

    A face whose image the contact has under the same `face_id` is in `deleted`; one whose `face_id`
    it has with another image stays, in `not_found`, and so does `from_contact_id` then.
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
