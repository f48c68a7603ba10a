"""Merging contacts, and taking it back."""

from __future__ import annotations

from typing import Any, Final

from backend.common.jobs.models import JobError
from backend.recognition.gallery import distinct, feedback
from backend.recognition.models import Contact, Face, User
from backend.recognition.operations import rejections, results
from backend.recognition.operations.enrolment import choose_indexed
from backend.recognition.operations.results import Result

TAKEN: Final = "There is another contact with the number of the merged one by now."


def complete(source: Contact, target: Contact, result: Result) -> None:
    """After all faces of `source` became the target's: its name, feedback and rejections do too."""
    result["undo"] = {
        "contact_id": source.contact_id,
        "name": source.name,
        "into": target.contact_id,
        "named": not target.name and bool(source.name),
        "faces": [each["id"] for each in result["added"]],
        "rejections": rejections.merged(source, target),
    }
    target.name = target.name or source.name
    target.save(update_fields=["name"])
    feedback.merged(source, target)
    distinct.merged(source, target)
    source.delete()


def undo(user: User, state: dict[str, Any]) -> Result:
    """The merged contact again, with those of its faces that the other still has."""
    if user.contacts.filter(contact_id=state["contact_id"]).exists():
        raise JobError(TAKEN, permanent=True)
    target = user.contacts.filter(contact_id=state["into"]).first()
    source = user.contacts.create(contact_id=state["contact_id"], name=state["name"])
    result = results.empty()
    if target is not None:
        faces = list(Face.objects.filter(contact=target, pk__in=state["faces"]))
        result["added"] = [results.stored(face, source, face.note) for face in faces]
        target.faces.filter(pk__in=state["faces"]).update(contact=source, is_indexed=False)
        target.rejections.filter(pk__in=state["rejections"]).update(contact=source)
        if state["named"] and target.name == source.name:
            target.name = ""
            target.save(update_fields=["name"])
        choose_indexed([source.pk, target.pk])
    return result
