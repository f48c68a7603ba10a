"""Groups of faces that match no member, kept up to date as photos arrive.

After a photo is compared with the references, its faces without a match wait to be clustered. One
worker at a time clusters all that wait, with one range search over the stored encodings. Groups are
kept only with FACES_GROUP_UNKNOWN, because these people never gave consent. `curation` holds what
staff may do with groups.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

import numpy
from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from backend.analysis.chinese_whispers import (
    MAX_NEIGHBOURS,
    Graph,
    Label,
    Neighbours,
    group_label,
    singleton_label,
    weight,
)
from backend.analysis.fields import read_many
from backend.common.jobs import runner
from backend.common.jobs.models import Status
from backend.photos.models import (
    CLUSTERING_JOB_ID,
    ClusterExclusion,
    ClusteringJob,
    Match,
    MatchRejection,
    Member,
    Person,
    PhotoFace,
    UnknownFace,
)
from backend.photos.similarity import search

logger = logging.getLogger(__name__)

BATCH: Final = 256
"""Faces of one range search: as many as are compared as fast as the encodings are read."""

_BATCHES: Final = 32
"""Of one job, which must end before FACES_JOB_TIMEOUT_S; the sweep starts another for the rest."""

_GATHER: Final = timedelta(seconds=2)
"""Photos of an album arrive one after another, and are better clustered together."""

_ROWS: Final = 500

_NEWEST: Final = 2000
"""Faces that the sweep checks again: some milliseconds, however many there are."""


def add_unmatched(faces: QuerySet[PhotoFace]) -> int:
    """Those of the faces that match no member, and are good enough, wait to be clustered."""
    if not settings.FACES_GROUP_UNKNOWN:
        return 0
    unmatched = faces.filter(~_match_of(OuterRef("pk")), unknown=None).order_by("pk")
    found = [
        UnknownFace(face_id=id)
        for id, quality in unmatched.values_list("pk", "quality")
        if not (quality or {}).get("too_poor")
    ]
    UnknownFace.objects.bulk_create(found, ignore_conflicts=True, batch_size=_ROWS)
    if found:
        transaction.on_commit(request)
    return len(found)


def remove_matched(face_ids: Collection[int] | None = None) -> int:
    """Take faces that match a member by now out of their groups; returns how many."""
    rows = UnknownFace.objects.filter(_match_of(OuterRef("pk")))
    if face_ids is not None:
        rows = rows.filter(pk__in=face_ids)
    return int(rows.delete()[0])


def release(member: Member) -> None:
    """Take all groups from `member`; those that counted as them say where they are, and go.

    A group that was only claimed or offered stays, as it may well be another person. Call it in a
    transaction: until its end no worker adds a face to a group that is deleted.
    """
    theirs = Person.objects.filter(member=member)
    claimed = Person.objects.claimed().filter(member=member).select_for_update()
    ids = list(claimed.values_list("pk", flat=True))
    UnknownFace.objects.filter(person__in=ids).delete()
    Person.objects.filter(pk__in=ids).delete()
    theirs.update(member=None, agreed_at=None, confirmed_at=None)


def request() -> None:
    """Have the waiting faces clustered; the sweep enqueues the job after `_GATHER`."""
    now = timezone.now()
    new = {"status": Status.QUEUED, "due_at": now + _GATHER}
    ClusteringJob.objects.get_or_create(pk=CLUSTERING_JOB_ID, defaults=new)
    ended = ClusteringJob.objects.filter(
        pk=CLUSTERING_JOB_ID, status__in=[Status.DONE, Status.FAILED]
    )
    ended.update(**new, created_at=now, processed_at=None, attempts=0, reason="")


def run(id: str) -> None:
    """Cluster the waiting faces unless another worker does. The job's task."""
    runner.run(ClusteringJob, id, _cluster)


def sweep() -> None:
    """Request the clustering of the faces that wait for it."""
    if not settings.FACES_GROUP_UNKNOWN:
        return
    _remove_newest_matched()
    if waiting().exists():
        request()


def waiting() -> QuerySet[UnknownFace]:
    """The faces to be clustered, the oldest first."""
    return UnknownFace.objects.filter(is_clustered=False).order_by("face_id")


def label_of(face: int, person: int | None) -> Label:
    return group_label(person) if person else singleton_label(face)


def neighbours_of(faces: Sequence[int]) -> Neighbours:
    """The nearest unknown faces of each of these."""
    integers, encodings = read_many(PhotoFace.objects.filter(pk__in=faces).order_by("pk"), "pk")
    ids, limit = integers[:, 0].tolist(), settings.FACES_MATCH_DISTANCE
    near = search.within_distance(numpy.ascontiguousarray(encodings), PhotoFace, below=limit)
    unknown = {row.face_id for row in unknown_faces({each.id for each in near})}
    found: Neighbours = defaultdict(list)
    for each in near:
        face = ids[each.probe]
        if each.id != face and each.id in unknown and len(found[face]) < MAX_NEIGHBOURS:
            found[face].append((each.id, weight(each.distance, limit)))
    return found


def ruled_out(faces: Iterable[int]) -> dict[int, set[Label]]:
    """The groups that these faces were taken out of."""
    found: dict[int, set[Label]] = defaultdict(set)
    for some in _chunks(faces):
        rows = ClusterExclusion.objects.filter(face_id__in=some)
        for face, person in rows.values_list("face_id", "person_id"):
            found[face].add(group_label(person))
    return found


def unknown_faces(faces: Iterable[int]) -> list[UnknownFace]:
    """The rows of those faces that are unknown."""
    return [row for some in _chunks(faces) for row in UnknownFace.objects.filter(pk__in=some)]


def write(labels: Mapping[int, Label]) -> None:
    """Put the faces into the groups of their labels; a new cluster of several becomes a group.

    Faces that were pinned meanwhile stay where they are, and deleted ones are not written.
    """
    clusters: dict[Label, list[int]] = defaultdict(list)
    for face, label in sorted(labels.items()):
        clusters[label].append(face)
    for label, faces in sorted(clusters.items(), key=lambda each: min(each[1])):
        with transaction.atomic():
            person = None if label.is_new else label.id
            if label.is_new and len(faces) > 1:
                person = Person.objects.create().pk
            for some in _chunks(faces):
                rows = UnknownFace.objects.filter(pk__in=some, is_pinned=False)
                rows.update(person_id=person, is_clustered=True)


def delete_empty_groups() -> None:
    """Delete groups without faces that no one named or claimed."""
    Person.objects.filter(faces=None, name="", member=None).delete()


def _remove_newest_matched() -> None:
    """Remove faces whose match was written while they were clustered.

    A photo and a reference may arrive at once, and each be written before it sees the other.
    """
    newest = UnknownFace.objects.order_by("-pk").values_list("pk", flat=True)
    behind = newest[_NEWEST:].first() or 0
    matched = UnknownFace.objects.filter(_match_of(OuterRef("pk")), pk__gt=behind)
    if matched.exists():  # to delete none would still keep writers waiting on SQLite
        matched.delete()
        delete_empty_groups()


def _match_of(face: OuterRef) -> Exists:
    """A match of that face which its member has not rejected."""
    said = MatchRejection.objects.filter(
        face_id=OuterRef("face_id"), member_id=OuterRef("reference__member_id")
    )
    return Exists(Match.objects.filter(~Exists(said), face_id=face))


def _cluster(grouping: ClusteringJob) -> None:
    count = 0
    for _ in range(_BATCHES if settings.FACES_GROUP_UNKNOWN else 0):
        faces = list(waiting().values_list("pk", flat=True)[:BATCH])
        if not faces:
            break
        _place(faces)
        count += len(faces)
    delete_empty_groups()
    if grouping.succeed():
        logger.info("clustered faces=%d", count)


def _place(faces: Sequence[int]) -> None:
    """Groups change by these faces alone; `manage.py cluster_people` clusters all again."""
    remove_matched(faces)  # also those that a reference matched after they were noted here
    graph = _graph_of(faces)
    new = {
        face
        for face, label in graph.labels.items()
        if face in faces or label == singleton_label(face)
    }
    graph.propagate_labels(new)
    write({face: graph.labels[face] for face in new - graph.fixed})


def _graph_of(faces: Sequence[int]) -> Graph:
    """The faces and their neighbours, each with the group that it is in."""
    new, neighbours = set(faces), neighbours_of(faces)
    for face in list(neighbours):
        for other, vote in neighbours[face]:
            if other not in new:
                neighbours[other].append((face, vote))
    rows = unknown_faces({*faces, *neighbours})
    return Graph(
        labels={row.face_id: label_of(row.face_id, row.person_id) for row in rows},
        neighbours=neighbours,
        fixed={
            row.face_id for row in rows if row.is_pinned or (row.person_id and row.is_clustered)
        },
        ruled_out=ruled_out(row.face_id for row in rows),
    )


def _chunks(faces: Iterable[int]) -> Iterator[list[Any]]:
    """As many at a time as one statement takes."""
    wanted = sorted(faces)
    for start in range(0, len(wanted), _ROWS):
        yield wanted[start : start + _ROWS]
