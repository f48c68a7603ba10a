"""Enrolment: faces become a contact's. Runs in one transaction, under the lock of its user."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy
from django.db import models

from backend.analysis.fields import checked
from backend.recognition.contract import INDEXED_FACES
from backend.recognition.models import Contact, Face, FaceCrop, Operation, User
from backend.recognition.operations import rejections, results
from backend.recognition.operations.preparation import ImageFinding
from backend.recognition.operations.results import Entry, Result

Images = Mapping[int, ImageFinding]
"""What the images of the operation show, by their positions."""

KNOWN: Final = "The contact has a face with this face_id already."
SAME: Final = "The contact has this face already."

_A_CALL: Final = 128
"""Numbers of a call's faces: more than `contract.MAX_FACES`."""

_STEP: Final = 1 << 32
"""From a taken number to the next to try; JavaScript's numbers are exact up to 2^53."""


def add(user: User, operation: Operation, images: Images) -> Result:
    requested = operation.arguments["faces"]
    if operation.contact_id is None and all(image.reason for image in images.values()):
        # A new contact is made with its first face.
        return {**results.empty(), "error": _errors(requested, images)}
    contact = contact_of(user, operation)
    ids = [each["face_id"] for each in requested if each["face_id"] is not None]
    known = {face.face_id: face for face in contact.faces.filter(face_id__in=ids)}
    new: dict[int, tuple[Face, ImageFinding]] = {}
    result = results.empty()
    for position, each in enumerate(requested):
        image, face_id = images[position], each["face_id"]
        if face_id in known or face_id in new:
            face = known[face_id] if face_id in known else new[face_id][0]
            result["not_found"].append((face, KNOWN))
        elif image.reason:
            result["error"].append(results.requested(each, image.reason))
        elif face_id is None and (same := _same(contact, image, new.values())):
            result["not_found"].append((same, SAME))
        else:
            face = _face(contact, operation, position, image)
            new[face.face_id] = face, image
    _store(new.values())
    rejections.enrolled(contact, (image for _, image in new.values()))
    choose_indexed([contact.pk])
    result["added"] = [results.stored(face, contact, face.note) for face, _ in new.values()]
    # After the new ones have their primary keys.
    result["not_found"] = [results.stored(face, contact, why) for face, why in result["not_found"]]
    return result


def contact_of(user: User, operation: Operation) -> Contact:
    """The operation's contact, which is made if it is new, and with it the user."""
    if not user.exists:
        user.exists = True
        user.save(update_fields=["exists"])
    if operation.contact_id is not None:
        return user.contacts.get_or_create(contact_id=operation.contact_id)[0]
    number = _unused(user.contacts, "contact_id", operation.sequence)
    # In the row, by which later deletions find the results to redact.
    operation.contact_id = number
    operation.save(update_fields=["contact_id"])
    return user.contacts.create(contact_id=number, name=operation.arguments.get("name", ""))


def choose_indexed(contact_pks: Iterable[int]) -> None:
    """Index the faces with the best scores of each contact; of equal scores the oldest."""
    for pk in contact_pks:
        faces = Face.objects.filter(contact=pk)
        best = faces.filter(is_face=True).order_by("-score", "id").values_list("pk", flat=True)
        chosen = list(best[:INDEXED_FACES])
        faces.filter(is_indexed=True).exclude(pk__in=chosen).update(is_indexed=False)
        faces.filter(is_indexed=False, pk__in=chosen).update(is_indexed=True)


def remove(faces: models.QuerySet[Face]) -> list[Entry]:
    """Delete faces; returns their entries."""
    found = list(faces.select_related("contact"))
    entries = [results.deleted(face) for face in found]
    faces.delete()
    choose_indexed({face.contact_id for face in found})
    return entries


def _errors(requested: Iterable[Mapping[str, Any]], images: Images) -> list[Entry]:
    return [results.requested(each, images[at].reason) for at, each in enumerate(requested)]


def _same(
    contact: Contact, image: ImageFinding, new: Iterable[tuple[Face, ImageFinding]]
) -> Face | None:
    """The contact's face of the same bytes with the same encoding: a repeated call adds nothing."""
    assert image.face is not None
    stored = Face.objects.with_encodings().filter(contact=contact, sha256=image.sha256)
    faces = [*stored.filter(is_face=True), *(face for face, _ in new)]
    for face in faces:
        is_same = face.sha256 == image.sha256
        if is_same and numpy.array_equal(face.encoding, image.face.encoding):
            return face
    return None


def _unused(rows: models.Manager[Any], field: str, number: int) -> int:
    """A number that no row has. `number` is derived from the call's, so none is given twice."""
    while rows.filter(**{field: number}).exists():
        number += _STEP
    return number


def _face(contact: Contact, operation: Operation, position: int, image: ImageFinding) -> Face:
    requested = operation.arguments["faces"][position]
    face_id = requested["face_id"]
    if face_id is None:
        face_id = _unused(contact.faces, "face_id", operation.sequence * _A_CALL + position)
    face = Face(
        contact=contact,
        user_id=contact.user_id,
        face_id=face_id,
        face_url=requested["face_url"],
        external_id=requested["external_id"],
        score=requested["score"],
        is_face=image.face is not None,
        sha256=image.sha256,
        note=image.note,
    )
    if image.face is not None:
        face.encoding, face.model = checked(image.face.encoding, any_size=True), image.model
    return face


def _store(new: Iterable[tuple[Face, ImageFinding]]) -> None:
    faces = list(new)
    Face.objects.bulk_create(face for face, _ in faces)
    crops = [FaceCrop(face=face, jpeg=image.crop) for face, image in faces if image.crop]
    FaceCrop.objects.bulk_create(crops)
