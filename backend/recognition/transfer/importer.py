"""Stores an exported user.

The file is read and validated, and kept in memory in a compact form; then all of it is stored in
one transaction, which reads no file. Faces get new ids, because an id is never used twice; the
answer maps the old ids to them.
"""

from __future__ import annotations

import pickle
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby, islice
from typing import IO, Any, Final

from django.conf import settings
from django.db import transaction

from backend.clients.limits import quota
from backend.recognition.contract import INDEXED_FACES
from backend.recognition.gallery import locking
from backend.recognition.models import OPEN, Contact, Face, Feedback, User
from backend.recognition.transfer.jsonl import Line, Unreadable, lines

MAX_FACES: Final = 200_000
"""Of one file: it is stored in one transaction."""

_BATCH: Final = 500

_MAX_EXPANSION: Final = 2
"""Bytes of lines to bytes of upload: an export, mostly encodings, shrinks to two thirds."""

_Batch = tuple[str, bytes]
"""The kind of some lines, and their values, pickled: a third of what their objects take."""


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
    survey = _Survey()
    batches = list(_batches(survey.checked(file)))
    indexed = survey.indexed()
    with transaction.atomic():
        quota.reserve(owner_id, 0)  # no bytes, but it refuses a client that is being erased
        User.objects.get_or_create(owner_id=owner_id, user_id=user_id)
        user = User.objects.select_for_update().get(owner_id=owner_id, user_id=user_id)
        if user.faces.exists() or user.operations.filter(OPEN).exists():
            raise NotEmpty
        # Names without faces are no reason to refuse, and not to be mixed with others.
        user.contacts.all().delete()
        user.feedback.all().delete()
        imported = _store(batches, user, indexed)
        user.exists = bool(imported.contacts)
        locking.bump_version(user)
    return imported


@dataclass
class _Survey:
    """What the lines are checked against: numbers that were used, and the faces' scores."""

    contacts: set[int] = field(default_factory=set)
    ids: set[int] = field(default_factory=set)
    face_ids: set[tuple[int, int]] = field(default_factory=set)
    answers: set[uuid.UUID] = field(default_factory=set)
    scores: dict[int, list[tuple[float, int, int]]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def checked(self, file: IO[bytes]) -> Iterator[tuple[str, Line]]:
        """Kind and values of each line. Raises `Unreadable`."""
        most = MAX_FACES
        max_bytes = _MAX_EXPANSION * settings.FACES_MAX_UPLOAD_BYTES
        for number, kind, values in lines(file, max_bytes=max_bytes):
            try:
                getattr(self, f"see_{kind}")(values)
            except ValueError as error:
                raise Unreadable(number, str(error)) from error
            if max(len(self.contacts), len(self.ids), len(self.answers)) > most:
                message = f"At most {most} faces, contacts and answers are imported."
                raise Unreadable(number, message)
            yield kind, values

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


def _store(batches: Iterable[_Batch], user: User, indexed: set[int]) -> Imported:
    """Insert the rows of lines that are known to be valid."""
    imported, contacts = Imported(), dict[int | None, Contact]()
    for kind, pickled in batches:
        batch: list[Line] = pickle.loads(pickled)  # made by `_batches`, in this process
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


def _batches(lines: Iterator[tuple[str, Line]]) -> Iterator[_Batch]:
    for kind, group in groupby(lines, key=lambda each: each[0]):
        values = (each for _, each in group)
        while batch := list(islice(values, _BATCH)):
            yield kind, pickle.dumps(batch)


def _once(seen: set[Any], value: Any, name: str) -> None:
    if value in seen:
        raise ValueError(f"{name}: It stands in the file twice.")
    seen.add(value)
