"""Stores an exported user.

The file is read twice: first it is validated, then it is stored, in one transaction. Faces get new
ids, because an id is never used twice; the answer maps the old ids to them.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby, islice
from typing import IO, Any, Final

from django.db import transaction

from backend.clients.limits import quota
from backend.recognition.contract import INDEXED_FACES
from backend.recognition.gallery import locking
from backend.recognition.models import OPEN, Contact, Face, Feedback, User
from backend.recognition.transfer.jsonl import Line, Unreadable, lines

MAX_FACES: Final = 200_000
"""Of one file: it is stored in one transaction."""

_BATCH: Final = 500


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
    """Store `file` as the user `user_id`, who must have no faces: all of it, or nothing.

    Raises `Unreadable` or `NotEmpty`, or what refuses a client's calls.
    """
    survey = _Survey.of_file(file)
    with transaction.atomic():
        quota.reserve(owner_id, 0)  # no bytes, but it refuses a client that is being erased
        User.objects.get_or_create(owner_id=owner_id, user_id=user_id)
        user = User.objects.select_for_update().get(owner_id=owner_id, user_id=user_id)
        if user.faces.exists() or user.operations.filter(OPEN).exists():
            raise NotEmpty
        # Names without faces are no reason to refuse, and not to be mixed with others.
        user.contacts.all().delete()
        user.feedback.all().delete()
        imported = _store(file, user, survey.indexed())
        user.exists = bool(imported.contacts)
        locking.bump_version(user)
    return imported


@dataclass
class _Survey:
    """The result of the first reading: numbers that were used, and the faces' scores."""

    contacts: set[int] = field(default_factory=set)
    ids: set[int] = field(default_factory=set)
    face_ids: set[tuple[int, int]] = field(default_factory=set)
    answers: set[uuid.UUID] = field(default_factory=set)
    scores: dict[int, list[tuple[float, int, int]]] = field(
        default_factory=lambda: defaultdict(list)
    )

    @classmethod
    def of_file(cls, file: IO[bytes]) -> _Survey:
        survey, most = cls(), MAX_FACES
        for number, kind, values in lines(file):
            try:
                getattr(survey, f"see_{kind}")(values)
            except ValueError as error:
                raise Unreadable(number, str(error)) from error
            if max(len(survey.contacts), len(survey.ids), len(survey.answers)) > most:
                message = f"At most {most} faces, contacts and answers are imported."
                raise Unreadable(number, message)
        return survey

    def see_contact(self, values: Line) -> None:
        _once(self.contacts, values["contact_id"], "contact_id")

    def see_face(self, values: Line) -> None:
        contact_id, id = values["contact"]["contact_id"], values["id"]
        self._check_contact(contact_id, "contact_id")
        _once(self.ids, id, "id")
        _once(self.face_ids, (contact_id, values["face_id"]), "face_id")
        if values["is_face"]:
            self.scores[contact_id].append((-values["score"], len(self.ids), id))

    def see_feedback(self, values: Line) -> None:
        _once(self.answers, values["answer_id"], "answer_id")
        for name in ("named", "truth"):
            if values[name]["contact_id"] is not None:
                self._check_contact(values[name]["contact_id"], name)

    def indexed(self) -> set[int]:
        """The ids of the faces with the best scores of each contact."""
        indexed = (sorted(scores)[:INDEXED_FACES] for scores in self.scores.values())
        return {id for best in indexed for _, _, id in best}

    def _check_contact(self, contact_id: int, name: str) -> None:
        if contact_id not in self.contacts:
            raise ValueError(f"{name}: There is no line of such a contact before.")


def _store(file: IO[bytes], user: User, indexed: set[int]) -> Imported:
    """The second reading, of a file that is known to be valid."""
    imported, contacts = Imported(), dict[int | None, Contact]()
    for kind, batch in _batches(file):
        if kind == "contact":
            made = Contact.objects.bulk_create(Contact(user=user, **values) for values in batch)
            contacts |= {each.contact_id: each for each in made}
        elif kind == "face":
            ids = [values.pop("id") for values in batch]
            for id, values in zip(ids, batch, strict=True):
                values["contact"] = contacts[values["contact"]["contact_id"]]
                values["is_indexed"] = id in indexed
            faces = Face.objects.bulk_create(Face(user=user, **values) for values in batch)
            imported.ids |= {id: face.pk for id, face in zip(ids, faces, strict=True)}
        else:
            for values in batch:
                for name in ("named", "truth"):
                    values[name] = contacts.get(values[name]["contact_id"])
            rows = Feedback.objects.bulk_create(Feedback(user=user, **values) for values in batch)
            imported.feedback += len(rows)
    imported.contacts, imported.faces = len(contacts), len(imported.ids)
    return imported


def _batches(file: IO[bytes]) -> Iterator[tuple[str, list[Line]]]:
    for kind, group in groupby(lines(file), key=lambda each: each[1]):
        values = (each for _, _, each in group)
        while batch := list(islice(values, _BATCH)):
            yield kind, batch


def _once(seen: set[Any], value: Any, name: str) -> None:
    if value in seen:
        raise ValueError(f"{name}: It stands in the file twice.")
    seen.add(value)
