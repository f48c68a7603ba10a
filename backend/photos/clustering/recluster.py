"""Clusters all unknown faces again, and keeps what people decided: `manage.py cluster_people`.

As faces arrive, each joins the group of its neighbours, and two groups that a later face would have
joined stay two. Here every face votes again. A group keeps its row, and so its name, where most of
its faces are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from django.utils import timezone

from backend.analysis.chinese_whispers import (
    Graph,
    Label,
    group_label,
    inherited_groups,
    singleton_label,
)
from backend.common.jobs.models import own_claim
from backend.photos.clustering import grouping
from backend.photos.models import CLUSTERING_JOB_ID, ClusteringJob, PhotoFace, UnknownFace

Progress = Callable[[int], object]
"""Called with the number of faces that were compared since the last call."""

_ROWS = 5000


class Busy(Exception):
    """A worker is clustering faces now."""


@dataclass(frozen=True)
class Change:
    """What clustering again changes, or would change."""

    faces: int
    groups_before: int
    groups_after: int
    moved: int
    """Faces that come into another group, into one or out of one."""


def recluster(*, dry_run: bool, on_progress: Progress = lambda faces: None) -> Change:
    """Cluster all faces again, while no worker does. Raises `Busy` if one does now."""
    job = _claim()
    try:
        change = _recluster(job, dry_run, on_progress)
    except BaseException:
        job.requeue(due_at=timezone.now())
        raise
    job.succeed()
    return change


def _claim() -> ClusteringJob:
    grouping.request()
    ClusteringJob.objects.filter(pk=CLUSTERING_JOB_ID).update(due_at=timezone.now())
    job = ClusteringJob.claim(CLUSTERING_JOB_ID)
    if job is None:
        raise Busy
    return job


def _recluster(job: ClusteringJob, dry_run: bool, on_progress: Progress) -> Change:
    if not dry_run:
        grouping.remove_matched()
        _add_all_unmatched()
    groups = dict(UnknownFace.objects.order_by("pk").values_list("pk", "person_id"))
    before = {face: grouping.label_of(face, group) for face, group in groups.items()}
    after = _labels(job, groups, on_progress)
    if not dry_run:
        grouping.write(after)
        grouping.delete_empty_groups()
    moved = sum(label != before[face] for face, label in after.items())
    return Change(len(after), _count_groups(before), _count_groups(after), moved)


def _add_all_unmatched() -> None:
    """Also faces whose match was deleted, with its reference."""
    last, keys = 0, PhotoFace.objects.order_by("pk").values_list("pk", flat=True)
    while ids := list(keys.filter(pk__gt=last)[:_ROWS]):
        grouping.add_unmatched(PhotoFace.objects.filter(pk__gt=last, pk__lte=ids[-1]))
        last = ids[-1]


def _labels(
    job: ClusteringJob, before: Mapping[int, int | None], on_progress: Progress
) -> dict[int, Label]:
    faces = list(before)
    pinned = UnknownFace.objects.filter(is_pinned=True, person__isnull=False)
    fixed = set(pinned.values_list("pk", flat=True))
    graph = Graph(
        labels={
            face: grouping.label_of(face, group if face in fixed else None)
            for face, group in before.items()
        },
        neighbours={},
        fixed=fixed,
        ruled_out=grouping.ruled_out(faces),
    )
    for start in range(0, len(faces), grouping.BATCH):
        some = faces[start : start + grouping.BATCH]
        graph.neighbours |= grouping.neighbours_of(some)
        ours = ClusteringJob.objects.filter(pk=job.pk, claimed_by=job.claimed_by)
        ours.update(**own_claim())
        on_progress(len(some))
    graph.propagate_labels(faces)
    _keep_groups(graph, before)
    return _without_clusters_of_one(graph.labels)


def _keep_groups(graph: Graph, before: Mapping[int, int | None]) -> None:
    """A new cluster becomes the group of most of its faces, if no pinned face is in that group."""
    held = {label.id for label in graph.labels.values() if not label.is_new}
    free = {face: group for face, group in before.items() if group and group not in held}
    new = {face: label for face, label in graph.labels.items() if label.is_new}
    groups = inherited_groups(new, free)
    for face, label in new.items():
        if label in groups:
            kept = group_label(groups[label])
            is_ruled_out = kept in graph.ruled_out.get(face, ())
            graph.labels[face] = singleton_label(face) if is_ruled_out else kept


def _without_clusters_of_one(labels: Mapping[int, Label]) -> dict[int, Label]:
    sizes = Counter(labels.values())
    return {
        face: singleton_label(face) if label.is_new and sizes[label] == 1 else label
        for face, label in labels.items()
    }


def _count_groups(labels: Mapping[int, Label]) -> int:
    return len({label for face, label in labels.items() if label != singleton_label(face)})
