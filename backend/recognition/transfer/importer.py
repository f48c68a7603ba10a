"""Stores an exported user.

The file is read twice: first it is validated, then it is stored, in one transaction. Faces get new
ids, because an id is never used twice; the answer maps the old ids to them.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from dataclasses import dataclass, field
from typing import IO, Any

from django.conf import settings
from django.db import transaction

from backend.clients.limits import quota
from backend.recognition.gallery import locking
from backend.recognition.models import OPEN, Contact, Face, Feedback, User
from backend.recognition.transfer.jsonl import (
    KINDS,
    Line,
    Unreadable,
    batches,
    contact_values,
    end,
    face_values,
    feedback_values,
    integer,
    lines,
    sentence,
)


class NotEmpty(Exception):
    """The user has faces, or calls that have not ended."""


@dataclass
class Imported:
    """What was stored. `ids` are of faces: by the id in the file, the new one."""

    contacts: int = 0
    faces: int = 0
    feedback: int = 0
    ids: dict[int, int] = field(default_factory=dict)


def read(file: IO[bytes], *, owner_id: int, user_id: int) -> Imported:
    """Store what `file` has as the user `user_id`, who must have no faces.

    All or nothing. Raises `Unreadable` or `NotEmpty`, or what refuses a client's calls.
    """
    survey = _survey(file)
    with transaction.atomic():
        quota.reserve(owner_id, 0)  # no bytes are kept, but who is erased gets nothing in
        User.objects.get_or_create(owner_id=owner_id, user_id=user_id)
        user = User.objects.select_for_update().get(owner_id=owner_id, user_id=user_id)
        if user.faces.exists() or user.operations.filter(OPEN).exists():
            raise NotEmpty
        # Names without faces are no reason to refuse, and not to be mixed with others.
        user.contacts.all().delete()
        user.feedback.all().delete()
        imported = _store(file, user, survey)
        user.exists = bool(imported.contacts)
        locking.bump_version(user)
    return imported


@dataclass
class _Survey:
    """What the first reading has found: all that the second needs to know."""

    contacts: set[int] = field(default_factory=set)
    ids: set[int] = field(default_factory=set)
    face_ids: set[tuple[int, int]] = field(default_factory=set)
    answers: set[uuid.UUID] = field(default_factory=set)
    scores: dict[int, list[tuple[float, int, int]]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def counts(self) -> dict[str, int]:
        sizes = (len(self.contacts), len(self.ids), len(self.answers))
        return dict(zip(KINDS, sizes, strict=True))

    def indexed(self) -> set[int]:
        """The ids of the faces with the best scores of each contact."""
        most = settings.FACES_GALLERY_FACES_PER_CONTACT
        return {id for scores in self.scores.values() for _, _, id in sorted(scores)[:most]}


def _survey(file: IO[bytes]) -> _Survey:
    survey, kinds = _Survey(), {"contact": _see_contact, "face": _see_face, "feedback": _see_said}
    last = 0
    for number, kind, line in lines(file):
        last = number
        try:
            kinds[kind](survey, line)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise Unreadable(number, sentence(error)) from error
        if max(survey.counts().values()) > settings.FACES_IMPORT_MAX_FACES:
            most = settings.FACES_IMPORT_MAX_FACES
            raise Unreadable(number, f"At most {most} faces, contacts and answers are imported.")
    ended = end(file)
    if ended != survey.counts():
        raise Unreadable(last + 2, "The file is not complete: its end counts something else.")
    return survey


def _see_contact(survey: _Survey, line: Line) -> None:
    _once(survey.contacts, contact_values(line)["contact_id"], "contact_id")


def _see_face(survey: _Survey, line: Line) -> None:
    face = face_values(line)
    contact_id, id = _known(survey, line, "contact_id"), integer(line, "id")
    _once(survey.ids, id, "id")
    _once(survey.face_ids, (contact_id, face["face_id"]), "face_id")
    if face["is_face"]:
        survey.scores[contact_id].append((-face["score"], len(survey.ids), id))


def _see_said(survey: _Survey, line: Line) -> None:
    said = feedback_values(line)
    _once(survey.answers, said["answer_id"], "answer_id")
    for name in ("named", "truth"):
        if line[name] is not None:
            _known(survey, line, name)


def _store(file: IO[bytes], user: User, survey: _Survey) -> Imported:
    """The second reading, of a file that is known to be good."""
    imported, used, contacts = Imported(), survey.indexed(), dict[int, Contact]()

    def contact(line: Line) -> Contact:
        return Contact(user=user, **contact_values(line))

    def face(line: Line) -> Face:
        values = {**face_values(line), "is_indexed": line["id"] in used}
        return Face(user=user, contact=contacts[line["contact_id"]], **values)

    def said(line: Line) -> Feedback:
        named, truth = (contacts.get(line[name]) for name in ("named", "truth"))
        return Feedback(user=user, named=named, truth=truth, **feedback_values(line))

    for some in batches(file, "contact"):
        made = Contact.objects.bulk_create(map(contact, some))
        contacts |= {each.contact_id: each for each in made}
    for some in batches(file, "face"):
        faces = Face.objects.bulk_create(map(face, some))
        imported.ids |= {line["id"]: each.pk for line, each in zip(some, faces, strict=True)}
    for some in batches(file, "feedback"):
        imported.feedback += len(Feedback.objects.bulk_create(map(said, some)))
    imported.contacts, imported.faces = len(contacts), len(imported.ids)
    return imported


def _known(survey: _Survey, line: Line, name: str) -> int:
    contact_id = integer(line, name)
    if contact_id not in survey.contacts:
        raise ValueError(f"{name}: There is no line of such a contact before.")
    return contact_id


def _once(seen: set[Any], value: Any, name: str) -> None:
    if value in seen:
        raise ValueError(f"{name}: It stands in the file twice.")
    seen.add(value)
