"""The handlers of changes: each runs in one transaction, under the lock of its user."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from django.db.models import Exists, OuterRef, Q, QuerySet

from backend.recognition.models import Contact, Face, Kind, Operation, User
from backend.recognition.operations import (
    decisions,
    enrolment,
    merging,
    rejections,
    results,
    undoing,
)
from backend.recognition.operations.enrolment import Images, choose_indexed, contact_of
from backend.recognition.operations.results import Entry, Result

UNKNOWN: Final = "The contact has no face with this face_id."
TAKEN: Final = "The other contact has another face with this face_id."


def delete(user: User, operation: Operation, images: Images) -> Result:
    requested = operation.arguments["faces"]
    contact = _known(user, operation.contact_id)
    result = results.empty()
    gone: set[int] = set()
    if contact is not None:
        faces = contact.faces.filter(face_id__in=[each["face_id"] for each in requested])
        result["deleted"] = _delete(faces)
        gone = {entry["face_id"] for entry in result["deleted"]}
        choose_indexed([contact.pk])
        _redact_earlier_results(operation, gone)
    result["not_found"] = _unknown(requested, gone)
    return result


def delete_contact(user: User, operation: Operation, images: Images) -> Result:
    contact = _known(user, operation.contact_id)
    deleted: list[Entry] = []
    if contact is not None:
        deleted = _delete(contact.faces.all())
        contact.delete()
    _redact_earlier_results(operation)
    return {**results.empty(), "deleted": deleted}


def delete_user(user: User, operation: Operation, images: Images) -> Result:
    deleted = _delete(user.faces.all())
    user.feedback.all().delete()
    user.contacts.all().delete()
    user.reembeddings.all().delete()
    user.exists = False
    user.save(update_fields=["exists"])
    _redact_earlier_results(operation)
    return {**results.empty(), "deleted": deleted}


def merge(user: User, operation: Operation, images: Images) -> Result:
    """All faces of one contact become another's; what both have stays once."""
    source = _known(user, operation.arguments["from_contact_id"])
    result = results.empty()
    if source is None:
        return result
    target = contact_of(user, operation)
    result = _transfer(source.faces.all(), source, target)
    pks = [source.pk, target.pk]
    if not result["not_found"]:
        # Merges into the source: its faces are not its own any more.
        undoing.forget(user.operations.filter(contact_id=source.contact_id))
        merging.complete(source, target, result)
    choose_indexed(pks)
    return result


def move(user: User, operation: Operation, images: Images) -> Result:
    """Faces of one contact become another's, and keep their ids."""
    requested = operation.arguments["faces"]
    source = _known(user, operation.arguments["from_contact_id"])
    ids = {each["face_id"] for each in requested}
    faces = Face.objects.filter(contact=source, face_id__in=ids)
    known = set(faces.values_list("face_id", flat=True))
    result = results.empty()
    if source is not None and known:
        target = contact_of(user, operation)
        result = _transfer(faces, source, target)
        choose_indexed([source.pk, target.pk])
    result["not_found"] += _unknown(requested, known)
    return result


def rename(user: User, operation: Operation, images: Images) -> Result:
    contact = _known(user, operation.contact_id)
    if contact is not None:
        given = [each for each in ("name", "is_hidden") if each in operation.arguments]
        for each in given:
            setattr(contact, each, operation.arguments[each])
        contact.save(update_fields=given)
    return {**results.empty(), "renamed": contact is not None}


Handler = Callable[[User, Operation, Images], Result]

HANDLERS: Final[Mapping[str, Handler]] = {
    Kind.ADD: enrolment.add,
    Kind.DECIDE: decisions.decide,
    Kind.DELETE: delete,
    Kind.DELETE_CONTACT: delete_contact,
    Kind.DELETE_USER: delete_user,
    Kind.MERGE: merge,
    Kind.MOVE: move,
    Kind.REJECT: rejections.decide,
    Kind.RENAME: rename,
    Kind.UNDO: undoing.undo,
    Kind.UNREJECT: rejections.decide,
}


def _unknown(requested: Sequence[Mapping[str, Any]], known: Iterable[int]) -> list[Entry]:
    """Entries of the faces that are not known, or requested a second time."""
    left = set(known)
    unknown: list[Entry] = []
    for each in requested:
        if each["face_id"] in left:
            left.discard(each["face_id"])
        else:
            unknown.append(results.requested(each, UNKNOWN))
    return unknown


def _known(user: User, contact_id: int | None) -> Contact | None:
    return None if contact_id is None else user.contacts.filter(contact_id=contact_id).first()


def _delete(faces: QuerySet[Face]) -> list[Entry]:
    """Delete faces; returns their entries."""
    entries = [results.deleted(face) for face in faces.select_related("contact")]
    faces.delete()
    return entries


def _transfer(faces: QuerySet[Face], source: Contact, target: Contact) -> Result:
    """Make faces of `source` the target's.

    Where the target has the `face_id` already, a face of the same image is deleted, and one of
    another image stays.
    """
    clash = target.faces.filter(face_id=OuterRef("face_id"))
    same_image = clash.filter(sha256=OuterRef("sha256")).exclude(sha256="")
    moving, duplicates = faces.filter(~Exists(clash)), faces.filter(Exists(same_image))
    result = results.empty()
    result["added"] = [results.stored(face, target, face.note) for face in moving]
    moving.update(contact=target, is_indexed=False)
    result["deleted"] = _delete(duplicates)
    result["not_found"] = [results.stored(face, source, TAKEN) for face in faces.all()]
    return result


def _redact_earlier_results(operation: Operation, face_ids: set[int] | None = None) -> None:
    """Remove URLs, external ids and reasons of deleted faces from results of earlier operations.

    Of the faces with `face_ids` of the operation's contact, or of all faces; of all contacts where
    the operation names none.
    """
    contact_id = operation.contact_id
    if face_ids is None:
        _forget_undo(operation)
    earlier = Operation.objects.filter(user=operation.user_id, sequence__lt=operation.sequence)
    earlier = earlier.exclude(kind=Kind.RECOGNISE).exclude(result=None)
    if contact_id is not None:
        # These name faces of a second contact.
        of_two = [Kind.MOVE, Kind.MERGE, Kind.UNDO]
        earlier = earlier.filter(Q(contact_id=contact_id) | Q(kind__in=of_two))
    for each in earlier:
        redacted = [
            results.redact(entry)
            for entry in results.redactable(each.result or {})
            if contact_id in (None, each.contact_id, entry.get("contact_id"))
            and (face_ids is None or entry.get("face_id") in face_ids)
        ]
        if any(redacted):
            each.save(update_fields=["result"])


def _forget_undo(operation: Operation) -> None:
    """A contact or a user is deleted: what would undo its operations may have names."""
    earlier = Operation.objects.filter(user=operation.user_id, sequence__lt=operation.sequence)
    if operation.contact_id is not None:
        earlier = earlier.filter(contact_id=operation.contact_id)
    undoing.forget(earlier)
