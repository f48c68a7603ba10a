"""Many answers at once: these faces are the contact's, those are not. One operation, one undo."""

from __future__ import annotations

from typing import Any, Final

from backend.common.jobs.models import JobError
from backend.recognition.gallery.probe import DELETED
from backend.recognition.models import Operation, User
from backend.recognition.operations import enrolment, rejections, results
from backend.recognition.operations.enrolment import Images
from backend.recognition.operations.results import Entry, Result

NO_CONTACT: Final = rejections.NO_CONTACT


def decide(user: User, operation: Operation, images: Images) -> Result:
    """Enrol the faces that are the contact's, and store the rejections of the others.

    The images of the enrolled ones come first. Each face that cannot be used is in `error`.
    """
    assert operation.contact_id is not None
    contact = user.contacts.filter(contact_id=operation.contact_id).first()
    if contact is None:
        raise JobError(NO_CONTACT, permanent=True)
    count = len(operation.arguments["faces"])
    result = enrolment.add(user, operation, {at: images[at] for at in range(count)})
    faces, errors = list[int](), list[Entry]()
    for at, each in enumerate(operation.arguments["rejected"], start=count):
        face = rejections.face_of(images[at])
        if face is None:
            errors.append(results.requested(each, images[at].reason or DELETED))
        else:
            faces.append(face)
    new = rejections.reject(contact, faces)
    result["error"] += errors
    result["rejected"] = len(faces)
    result["undo"] = {"faces": [each["id"] for each in result["added"]], "rejections": new}
    return result


def undo(user: User, state: dict[str, Any]) -> Result:
    """Take faces off, and rejections back, that a decision made: those that are still there."""
    deleted = enrolment.remove(user.faces.filter(pk__in=state["faces"]))
    rejections.take_back(user, state["rejections"])
    return {**results.empty(), "deleted": deleted}
