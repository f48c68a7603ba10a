"""Stores an exported user.

The file is read and validated, and kept in memory in a compact form, before any transaction. A
small one is stored in one transaction, a larger one in many short ones, because on SQLite every
writer waits for a transaction: until the last one the user does not exist, so that others see all
of it or nothing. Faces get new ids, because an id is never used twice; the answer maps the old ids
to them.
"""

from __future__ import annotations

import pickle
import time
import uuid
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import groupby, islice
from typing import IO, Any, Final

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Model
from django.utils import timezone

from backend.analysis import services as analysis
from backend.clients.limits import quota
from backend.common.jobs import statements
from backend.recognition.contract import INDEXED_FACES
from backend.recognition.gallery import locking
from backend.recognition.models import OPEN, Contact, Face, Feedback, User
from backend.recognition.transfer.jsonl import Unreadable, lines, plain
from backend.recognition.transfer.line_values import Line

MAX_FACES: Final = 200_000
"""Of one file."""

MAX_LINES: Final = 300_000
"""Of one file: about 10 s of a worker's processor time on a busy machine, whatever they are."""

_SMALL_BYTES: Final = 1 << 20
"""Of lines that are stored at once: a thousand faces, in a tenth of a second."""

_BATCH: Final = 200
"""Rows of a transaction: some 6 ms of processor time."""

_MIN_PAUSE_S: Final = 0.01
_MAX_PAUSE_S: Final = 0.2

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


@dataclass(frozen=True)
class Contents:
    """The valid lines of a file."""

    batches: list[_Batch]
    indexed: set[int]
    """The ids of the faces with the best scores of each contact."""

    @classmethod
    def of(cls, file: IO[bytes]) -> Contents:
        """Read the whole file. Raises `Unreadable`."""
        survey = _Survey()
        batches = list(_batches(survey.checked(file)))
        return cls(batches, survey.indexed())


def is_small(file: IO[bytes]) -> bool:
    """Whether the file may be read and stored while its sender waits."""
    if file.seek(0, 2) > _SMALL_BYTES:
        return False
    with suppress(EOFError, zlib.error):  # the reader names the line
        return len(plain(file).read(_SMALL_BYTES + 1)) <= _SMALL_BYTES
    return True


def read(file: IO[bytes], *, owner_id: int, user_id: int) -> Imported:
    """Store `file` as the user `user_id`, who must have no faces: all of it, in one transaction.

    Raises `Unreadable` or `NotEmpty`, or what refuses a client's calls.
    """
    contents = Contents.of(file)
    with transaction.atomic():
        quota.reserve(owner_id, 0)  # no bytes, but it refuses a client that is being erased
        User.objects.get_or_create(owner_id=owner_id, user_id=user_id)
        user = User.objects.select_for_update().get(owner_id=owner_id, user_id=user_id)
        refuse_unless_empty(user)
        # Names without faces are no reason to refuse, and not to be mixed with others.
        user.contacts.all().delete()
        user.feedback.all().delete()
        storing = _Storing(user, contents.indexed)
        for batch in contents.batches:
            storing.store(*batch)
        appear(user, storing.imported)
    return storing.imported


def refuse_unless_empty(user: User) -> None:
    """Raise `NotEmpty` if the user, who is locked, has faces or calls that have not ended."""
    has_faces = user.exists and user.faces.exists()
    if has_faces or user.operations.filter(OPEN).exists():
        raise NotEmpty


def store_in_steps(contents: Contents, user: User, check: Callable[[], object]) -> Imported:
    """Store `contents` in short transactions, as a user that does not exist yet; see `appear`.

    `check` is called in each: it raises if another process took over. What an earlier attempt left
    is deleted first.
    """
    with transaction.atomic():
        check()
        User.objects.filter(pk=user.pk).update(exists=False)
    discard(user, check)
    storing = _Storing(user, contents.indexed)
    for batch in contents.batches:
        with _short_transaction():
            check()
            storing.store(*batch)
    return storing.imported


@contextmanager
def _short_transaction() -> Iterator[None]:
    """A transaction, and on SQLite a pause behind it that is as long: others write meanwhile.

    SQLite has no queue of writers. One that waits looks every 0.1 s whether the lock is free, and
    would hardly ever find it so.
    """
    started = time.monotonic()
    with transaction.atomic():
        yield
    if connection.vendor == "sqlite":
        time.sleep(min(_MAX_PAUSE_S, max(_MIN_PAUSE_S, time.monotonic() - started)))


def discard(user: User, check: Callable[[], object] = lambda: None) -> None:
    """Delete, in short transactions, what is stored of a user that does not exist."""
    for rows in (user.faces, user.contacts, user.feedback):
        while some := list(rows.order_by().values_list("pk", flat=True)[:_BATCH]):
            with transaction.atomic():
                check()
                locked = User.objects.select_for_update().filter(pk=user.pk, exists=False)
                if not locked.exists():
                    return
                rows.filter(pk__in=some).delete()


def appear(user: User, imported: Imported) -> None:
    """Make the stored rows the user's, who is locked."""
    user.exists = bool(imported.contacts)
    locking.bump_version(user)


@dataclass
class _Survey:
    """What the lines are checked against: numbers that were used, and the faces' scores."""

    contacts: set[int] = field(default_factory=set)
    ids: set[int] = field(default_factory=set)
    face_ids: set[tuple[int, int]] = field(default_factory=set)
    answers: set[uuid.UUID] = field(default_factory=set)
    dimensions: dict[str, int] = field(default_factory=dict)
    """Of the encodings of each model."""
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
            if number > MAX_LINES + 1:  # the first one is the head
                raise Unreadable(number, f"At most {MAX_LINES} lines are imported.")
            yield kind, values

    def see_contact(self, values: Line) -> None:
        _once(self.contacts, values["contact_id"], "contact_id")

    def see_face(self, values: Line) -> None:
        contact_id, id = values["contact_id"], values["id"]
        self._check_contact(contact_id, "contact_id")
        _once(self.ids, id, "id")
        _once(self.face_ids, (contact_id, values["face_id"]), "face_id")
        if values["is_face"]:
            self._check_size(values["model"], len(values["encoding"]) // 4)
            self.scores[contact_id].append((-values["score"], len(self.ids), id))

    def see_feedback(self, values: Line) -> None:
        _once(self.answers, values["answer_id"], "answer_id")
        for name in ("named", "truth"):
            if values[name] is not None:
                self._check_contact(values[name], name)

    def indexed(self) -> set[int]:
        """The ids of the faces with the best scores of each contact."""
        indexed = (sorted(scores)[:INDEXED_FACES] for scores in self.scores.values())
        return {id for best in indexed for _, _, id in best}

    def _check_size(self, model: str, numbers: int) -> None:
        """Encodings of one model have one size, else no gallery could compare them."""
        if model not in self.dimensions:
            self.dimensions[model] = analysis.dimensions(model) or numbers
        if self.dimensions[model] != numbers:
            wanted = f"{self.dimensions[model]} numbers, not {numbers}"
            raise ValueError(f"encoding: One of this model has {wanted}.")

    def _check_contact(self, contact_id: int, name: str) -> None:
        if contact_id not in self.contacts:
            raise ValueError(f"{name}: There is no line of such a contact before.")


@dataclass
class _Storing:
    """Inserts the rows of lines that are known to be valid."""

    user: User
    indexed: set[int]
    imported: Imported = field(default_factory=Imported)
    contacts: dict[int | None, int | None] = field(default_factory=lambda: {None: None})
    """Keys of the stored contacts, by their `contact_id`."""

    def store(self, kind: str, pickled: bytes) -> None:
        batch: list[Line] = pickle.loads(pickled)  # made by `_batches`, in this process
        getattr(self, f"_store_{kind}")(batch)

    def _store_contact(self, batch: list[Line]) -> None:
        keys = self._insert(Contact, batch, created_at=timezone.now())
        self.contacts |= {
            values["contact_id"]: key for values, key in zip(batch, keys, strict=True)
        }
        self.imported.contacts += len(keys)

    def _store_face(self, batch: list[Line]) -> None:
        ids = [values.pop("id") for values in batch]
        for id, values in zip(ids, batch, strict=True):
            values["contact_id"] = self.contacts[values["contact_id"]]
            values["is_indexed"] = id in self.indexed
        keys = self._insert(Face, batch)
        self.imported.ids |= zip(ids, keys, strict=True)
        self.imported.faces = len(self.imported.ids)

    def _store_feedback(self, batch: list[Line]) -> None:
        for values in batch:
            values["named_id"] = self.contacts[values.pop("named")]
            values["truth_id"] = self.contacts[values.pop("truth")]
        self.imported.feedback += len(self._insert(Feedback, batch))

    def _insert(self, model: type[Model], batch: list[Line], **same: object) -> list[int]:
        """Insert rows of the user, each with `same`."""
        common = {"user_id": self.user.pk, **same}
        return statements.insert_many(model, [{**common, **values} for values in batch])


def _batches(lines: Iterator[tuple[str, Line]]) -> Iterator[_Batch]:
    for kind, group in groupby(lines, key=lambda each: each[0]):
        values = (each for _, each in group)
        while batch := list(islice(values, _BATCH)):
            yield kind, pickle.dumps(batch)


def _once(seen: set[Any], value: Any, name: str) -> None:
    if value in seen:
        raise ValueError(f"{name}: It stands in the file twice.")
    seen.add(value)
