"""People whom no reference knows: their faces are put into groups as they come.

After a photo was compared with the references, those of its faces that match none wait to be
placed; one worker at a time places what waits, all of it by one look at the stored encodings.
Only where FACES_GROUP_UNKNOWN says so: nobody asked these people. `groups` holds what staff may do.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import numpy
from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from backend.analysis.fields import read_many
from backend.common.jobs import runner
from backend.common.jobs.models import Status
from backend.photos.clustering import chinese_whispers
from backend.photos.clustering.chinese_whispers import Label, alone
from backend.photos.models import (
    GROUPING_ID,
    Grouping,
    Match,
    Member,
    NotMe,
    NotPerson,
    Person,
    PhotoFace,
    UnknownFace,
)
from backend.photos.similarity import search

logger = logging.getLogger(__name__)

AT_A_TIME: Final = 256
"""Faces placed by one look at all encodings: as many as are compared as fast as they are read."""

_BATCHES: Final = 32
"""Of one job, which must end before FACES_JOB_TIMEOUT_S; the sweep asks for the rest."""

_GATHER: Final = timedelta(seconds=2)
"""Photos of an album come one after another, and are better placed together."""

_ROWS: Final = 500

_NEWEST: Final = 2000
"""Faces at which the sweep looks again: some milliseconds, however many are known."""


@dataclass
class Graph:
    """What whispers: who is a neighbour of whom, and the labels."""

    neighbours: dict[int, list[tuple[int, float]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    labels: dict[int, Label] = field(default_factory=dict)
    fixed: set[int] = field(default_factory=set)
    not_of: dict[int, set[Label]] = field(default_factory=lambda: defaultdict(set))


def photo_matched(photo_id: int) -> None:
    """The photo's faces that match nobody wait to be placed: in the transaction that says so."""
    if settings.FACES_GROUP_UNKNOWN:
        wait(PhotoFace.objects.filter(photo_id=photo_id))


def wait(faces: QuerySet[PhotoFace]) -> int:
    """Those of the faces that match nobody, and can be recognised, wait to be placed."""
    unmatched = faces.filter(~_match_of(OuterRef("pk")), unknown=None).order_by("pk")
    found = [
        UnknownFace(face_id=id)
        for id, quality in unmatched.values_list("pk", "quality")
        if not (quality or {}).get("too_poor")
    ]
    UnknownFace.objects.bulk_create(found, ignore_conflicts=True, batch_size=_ROWS)
    if found:
        transaction.on_commit(ask)
    return len(found)


def unmatched(face_ids: Collection[int]) -> None:
    """A member said that they are none of these faces."""
    if settings.FACES_GROUP_UNKNOWN:
        wait(PhotoFace.objects.filter(pk__in=face_ids))


def known(face_ids: Collection[int]) -> None:
    """These faces were compared with the references: those that match leave their groups."""
    if face_ids:
        UnknownFace.objects.filter(_match_of(OuterRef("pk")), pk__in=face_ids).delete()


def release(member: Member) -> None:
    """No group is `member`'s any more; one that counted as them goes: it tells where they are.

    One that was only claimed or offered stays, as it may well be somebody else. In a transaction:
    until its end no worker puts another face into a group that goes.
    """
    theirs = Person.objects.filter(member=member)
    claimed = Person.objects.claimed().filter(member=member).select_for_update()
    ids = list(claimed.values_list("pk", flat=True))
    UnknownFace.objects.filter(person__in=ids).delete()
    Person.objects.filter(pk__in=ids).delete()
    theirs.update(member=None, agreed_at=None, confirmed_at=None)


def ask() -> None:
    """Ask for what waits to be placed; the sweep tells the queue, after some more has come."""
    now = timezone.now()
    new = {"status": Status.QUEUED, "due_at": now + _GATHER}
    Grouping.objects.get_or_create(pk=GROUPING_ID, defaults=new)
    ended = Grouping.objects.filter(pk=GROUPING_ID, status__in=[Status.DONE, Status.FAILED])
    ended.update(**new, created_at=now, processed_at=None, attempts=0, reason="")


def run(id: str) -> None:
    """Place what waits, if nobody else does. What workers call."""
    runner.run(Grouping, id, _group)


def sweep() -> None:
    """Ask for the grouping of the faces that wait for it."""
    if not settings.FACES_GROUP_UNKNOWN:
        return
    _remove_newest_matched()
    if waiting().exists():
        ask()


def waiting() -> QuerySet[UnknownFace]:
    """The faces to be placed, the oldest first."""
    return UnknownFace.objects.filter(placed=False).order_by("face_id")


def graph_of(faces: Sequence[int]) -> Graph:
    """The faces with their neighbours among the unknown, and what these are labelled."""
    graph = Graph()
    add_neighbours(graph, faces, both=True)
    everyone = {*faces, *(other for some in graph.neighbours.values() for other, _ in some)}
    for row in rows_of(everyone):
        graph.labels[row.face_id] = row.person_id or alone(row.face_id)
        if row.pinned or (row.person_id and row.placed):
            graph.fixed.add(row.face_id)
    read_ruled_out(graph, everyone)
    return graph


def add_neighbours(graph: Graph, faces: Sequence[int], *, both: bool) -> None:
    """Of each of the faces the nearest that are unknown too; with `both`, these hear it as well."""
    integers, encodings = read_many(PhotoFace.objects.filter(pk__in=faces).order_by("pk"), "pk")
    ids, limit = integers[:, 0].tolist(), settings.FACES_MATCH_DISTANCE
    near = search.near(numpy.ascontiguousarray(encodings), PhotoFace, below=limit)
    unknown, asked = {row.face_id for row in rows_of({each.id for each in near})}, set(ids)
    for each in near:
        face, others = ids[each.probe], graph.neighbours[ids[each.probe]]
        if each.id == face or each.id not in unknown or len(others) >= chinese_whispers.NEIGHBOURS:
            continue
        vote = chinese_whispers.weight(each.distance, limit)
        others.append((each.id, vote))
        if both and each.id not in asked:
            graph.neighbours[each.id].append((face, vote))


def read_ruled_out(graph: Graph, faces: Iterable[int]) -> None:
    wanted = sorted(faces)
    for start in range(0, len(wanted), _ROWS):
        rows = NotPerson.objects.filter(face_id__in=wanted[start : start + _ROWS])
        for face, person in rows.values_list("face_id", "person_id"):
            graph.not_of[face].add(person)


def rows_of(faces: Iterable[int]) -> list[UnknownFace]:
    """The rows of those faces that are unknown."""
    wanted, found = sorted(faces), list[UnknownFace]()
    for start in range(0, len(wanted), _ROWS):
        found += UnknownFace.objects.filter(pk__in=wanted[start : start + _ROWS])
    return found


def write(labels: Mapping[int, Label]) -> None:
    """The faces as placed where their labels say; of a new label with several faces, a new group.

    What somebody pinned meanwhile stays. Faces that are gone are not written.
    """
    groups: dict[Label, list[int]] = defaultdict(list)
    for face, label in sorted(labels.items()):
        groups[label].append(face)
    for label, faces in sorted(groups.items(), key=lambda each: min(each[1])):
        with transaction.atomic():
            person = label if label > 0 else None
            if label < 0 and len(faces) > 1:
                person = Person.objects.create().pk
            for start in range(0, len(faces), _ROWS):
                rows = UnknownFace.objects.filter(pk__in=faces[start : start + _ROWS])
                rows.filter(pinned=False).update(person_id=person, placed=True)


def tidy() -> None:
    """Groups that nobody named or claimed go with their last face."""
    Person.objects.filter(faces=None, name="", member=None).delete()


def remove_matched() -> int:
    """Take out of the groups what matches a member by now; returns how many."""
    return int(UnknownFace.objects.filter(_match_of(OuterRef("pk"))).delete()[0])


def _remove_newest_matched() -> None:
    """Of a photo and a reference that come at once, each may be written before it sees the other.

    The face is then matched and unknown, where the reference took until it was placed.
    """
    newest = UnknownFace.objects.order_by("-pk").values_list("pk", flat=True)
    behind = newest[_NEWEST:].first() or 0
    matched = UnknownFace.objects.filter(_match_of(OuterRef("pk")), pk__gt=behind)
    if matched.exists():  # to delete none would still keep writers waiting on SQLite
        matched.delete()
        tidy()


def _match_of(face: OuterRef) -> Exists:
    """A match of that face whose member did not say that it is not them."""
    said = NotMe.objects.filter(
        face_id=OuterRef("face_id"), member_id=OuterRef("reference__member_id")
    )
    return Exists(Match.objects.filter(~Exists(said), face_id=face))


def _group(grouping: Grouping) -> None:
    placed = 0
    for _ in range(_BATCHES if settings.FACES_GROUP_UNKNOWN else 0):
        faces = list(waiting().values_list("pk", flat=True)[:AT_A_TIME])
        if not faces:
            break
        _place(faces)
        placed += len(faces)
    tidy()
    if grouping.succeed():
        logger.info("placed faces=%d", placed)


def _place(faces: Sequence[int]) -> None:
    # Also those that came to match somebody after they were noted here.
    UnknownFace.objects.filter(_match_of(OuterRef("pk")), pk__in=faces).delete()
    graph = graph_of(faces)
    there = graph.labels.keys()
    turns = {face for face in there if face in faces or graph.labels[face] == alone(face)}
    chinese_whispers.whisper(
        turns, graph.neighbours, graph.labels, fixed=graph.fixed, not_of=graph.not_of
    )
    # A group changes by its new faces alone; `manage.py cluster_people` thinks all over again.
    write({face: graph.labels[face] for face in turns - graph.fixed})
