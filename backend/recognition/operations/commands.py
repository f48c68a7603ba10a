"""What callers ask for, made sure of. All of it raises `Malformed`, which is a `ValueError`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings
from django.core.files.base import File

from backend.recognition import contract
from backend.recognition.contract import Malformed, integer
from backend.recognition.models import Kind
from backend.recognition.operations.acceptance import Bytes, Call

Faces = Sequence[Mapping[str, Any]]


def add(user_id: int, contact_id: int, faces: Faces) -> Call:
    user_id, contact_id = integer(user_id, "user_id"), integer(contact_id, "contact_id")
    given = contract.faces(faces, at_most=settings.FACES_MAX_FACES_PER_CALL)
    found = [contract.added(each, user_id=user_id, contact_id=contact_id) for each in given]
    sent = {
        position: _bytes(each["image"], "image")
        for position, each in enumerate(given)
        if each.get("image") is not None
    }
    return Call(
        Kind.ADD,
        user_id,
        contact_id,
        arguments={"faces": found},
        sent=sent,
        urls={at: each["face_url"] for at, each in enumerate(found) if at not in sent},
    )


def delete(user_id: int, contact_id: int, faces: Faces) -> Call:
    arguments = {"faces": _named(user_id, contact_id, faces)}
    return Call(Kind.DELETE, user_id, contact_id, arguments=arguments)


def delete_contact(user_id: int, contact_id: int) -> Call:
    return Call(Kind.DELETE_CONTACT, integer(user_id, "user_id"), integer(contact_id, "contact_id"))


def delete_user(user_id: int) -> Call:
    return Call(Kind.DELETE_USER, integer(user_id, "user_id"))


def recognise(user_id: int, image: Any) -> Call:
    """`image` is a URL, or bytes."""
    user_id = integer(user_id, "user_id")
    if not isinstance(image, str):
        return Call(Kind.RECOGNISE, user_id, sent={0: _bytes(image, "face_url")})
    url = contract.text(image, "face_url", at_most=contract.URL_CHARACTERS)
    if not url:
        raise Malformed("face_url", "This field may not be blank.")
    return Call(Kind.RECOGNISE, user_id, urls={0: url})


def merge(user_id: int, contact_id: int, from_contact_id: int) -> Call:
    user_id, contact_id = integer(user_id, "user_id"), integer(contact_id, "contact_id")
    if integer(from_contact_id, "from_contact_id") == contact_id:
        raise Malformed("from_contact_id", "A contact cannot be merged with itself.")
    return Call(Kind.MERGE, user_id, contact_id, arguments={"from_contact_id": from_contact_id})


def move(user_id: int, contact_id: int, faces: Faces, *, to: int) -> Call:
    found = _named(user_id, contact_id, faces)
    if integer(to, "to_contact_id") == contact_id:
        raise Malformed("to_contact_id", "The faces are of this contact already.")
    return Call(Kind.MOVE, user_id, to, arguments={"faces": found, "from_contact_id": contact_id})


def rename(user_id: int, contact_id: int, name: str) -> Call:
    name = contract.text(name, "name", at_most=contract.NAME_CHARACTERS)
    return Call(
        Kind.RENAME,
        integer(user_id, "user_id"),
        integer(contact_id, "contact_id"),
        arguments={"name": name},
    )


def _named(user_id: int, contact_id: int, faces: Faces) -> list[contract.FaceShape]:
    integer(user_id, "user_id")
    integer(contact_id, "contact_id")
    given = contract.faces(faces, at_most=settings.FACES_MAX_FACES_PER_CALL)
    return [contract.named(each, user_id=user_id, contact_id=contact_id) for each in given]


def _bytes(value: Any, field: str) -> Bytes:
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if isinstance(value, File):
        return value
    raise Malformed(field, "Give a URL, or the bytes of an image.")
