"""What clients said of faces of their images: "not Ann". Recognitions with options respect it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from backend.analysis import services as analysis
from backend.common.jobs.models import JobError
from backend.recognition.gallery.probe import DELETED
from backend.recognition.models import Contact, Kind, Operation, Rejection, User
from backend.recognition.operations.preparation import ImageFinding
from backend.recognition.operations.results import Result

NO_CONTACT: Final = "There is no contact with this number."


def decide(user: User, operation: Operation, images: Mapping[int, ImageFinding]) -> Result:
    """Store that the chosen face is not the contact's, or take that back."""
    assert operation.contact_id is not None
    contact, image = user.contacts.filter(contact_id=operation.contact_id).first(), images[0]
    face = face_of(image)
    if face is None:
        raise JobError(image.reason or DELETED, permanent=True)
    if contact is None:
        raise JobError(NO_CONTACT, permanent=True)
    is_rejected = operation.kind == Kind.REJECT
    if is_rejected:
        reject(contact, [face])
    else:
        Rejection.objects.filter(contact=contact, face_id=face).delete()
    return {"rejected": is_rejected}


def reject(contact: Contact, faces: Iterable[int]) -> list[int]:
    """Store rejections of faces of analyses; returns the primary keys of those that are new."""
    made = [Rejection.objects.get_or_create(contact=contact, face_id=face) for face in faces]
    return [rejection.pk for rejection, is_new in made if is_new]


def take_back(user: User, pks: Iterable[int]) -> None:
    """Delete these rejections, whichever contact has them by now."""
    Rejection.objects.filter(contact__user=user, pk__in=list(pks)).delete()


def of_image(user: User, image: ImageFinding) -> dict[int, set[int]]:
    """Primary keys of the contacts that are rejected, by the places of the image's faces."""
    if image.analysis_id is None:
        return {}
    rows = Rejection.objects.filter(contact__user=user, face__analysis=image.analysis_id)
    found: dict[int, set[int]] = defaultdict(set)
    for index, contact in rows.values_list("face__index", "contact_id"):
        found[index].add(contact)
    return found


def enrolled(contact: Contact, images: Iterable[ImageFinding]) -> None:
    """Faces that became the contact's are not rejected any more."""
    faces = [face for face in map(face_of, images) if face is not None]
    if faces:
        Rejection.objects.filter(contact=contact, face__in=faces).delete()


def merged(source: Contact, target: Contact) -> list[int]:
    """Rejections of `source` become the target's; returns the primary keys of those that moved."""
    known = list(target.rejections.values_list("face", flat=True))
    moving = source.rejections.exclude(face__in=known)
    pks = list(moving.values_list("pk", flat=True))
    moving.update(contact=target)
    return pks


def face_of(image: ImageFinding) -> int | None:
    """The primary key of the chosen face; None where it cannot be used."""
    if image.reason or image.analysis_id is None or image.face_index is None:
        return None
    return analysis.face_id(image.analysis_id, image.face_index)
