"""All unknown faces grouped anew, with what people decided kept: `manage.py cluster_people`.

As faces come, each is put where its neighbours are; groups that a later face would have joined
stay two. Here every face votes again. A group keeps its row, and so its name, where most of its
faces are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from django.utils import timezone

from backend.common.jobs.models import own_claim
from backend.photos.clustering import chinese_whispers
from backend.photos.clustering import grouping as people
from backend.photos.clustering.chinese_whispers import Label, alone
from backend.photos.clustering.grouping import AT_A_TIME, Graph
from backend.photos.models import GROUPING_ID, Grouping, PhotoFace, UnknownFace

Progress = Callable[[int], object]
"""Told how many faces more were looked at."""


class Busy(Exception):
    """Faces are being placed just now."""


@dataclass(frozen=True)
class Change:
    """What grouping anew changes, or would change."""

    faces: int
    groups_before: int
    groups_after: int
    moved: int
    """Faces that come into another group, into one or out of one."""


def recluster(*, dry_run: bool, progress: Progress = lambda faces: None) -> Change:
    """Group all anew, while no worker places faces. Raises `Busy` if one does just now."""
    grouping = _claim()
    try:
        change = _recluster(grouping, dry_run, progress)
    except BaseException:
        grouping.requeue(due_at=timezone.now())
        raise
    grouping.succeed()
    return change


def _claim() -> Grouping:
    people.ask()
    Grouping.objects.filter(pk=GROUPING_ID).update(due_at=timezone.now())
    grouping = Grouping.claim(GROUPING_ID)
    if grouping is None:
        raise Busy
    return grouping


def _recluster(grouping: Grouping, dry_run: bool, progress: Progress) -> Change:
    if not dry_run:
        people.remove_matched()
        _let_all_wait()
    before = dict(UnknownFace.objects.order_by("pk").values_list("pk", "person_id"))
    labels = _labels(grouping, before, progress)
    old = {face: person or alone(face) for face, person in before.items()}
    after = _with_one_alone(labels)
    changed = {face: label for face, label in after.items() if label != old[face]}
    if not dry_run:
        # A new group is written whole, and what waited is placed where it is.
        people.write(after)
        people.tidy()
    return Change(len(after), _groups(old), _groups(after), len(changed))


def _let_all_wait() -> None:
    """Also faces whose match went, with its reference."""
    last = 0
    while ids := list(
        PhotoFace.objects.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:5000]
    ):
        people.wait(PhotoFace.objects.filter(pk__gt=last, pk__lte=ids[-1]))
        last = ids[-1]


def _labels(
    grouping: Grouping, before: Mapping[int, int | None], progress: Progress
) -> dict[int, Label]:
    graph, faces = Graph(), list(before)
    pinned = UnknownFace.objects.filter(pinned=True, person__isnull=False)
    graph.fixed = set(pinned.values_list("pk", flat=True))
    graph.labels = {
        face: person if person and face in graph.fixed else alone(face)
        for face, person in before.items()
    }
    for start in range(0, len(faces), AT_A_TIME):
        people.add_neighbours(graph, faces[start : start + AT_A_TIME], both=False)
        Grouping.objects.filter(pk=grouping.pk, claimed_by=grouping.claimed_by).update(
            **own_claim()
        )
        progress(len(faces[start : start + AT_A_TIME]))
    people.read_ruled_out(graph, faces)
    chinese_whispers.whisper(
        faces, graph.neighbours, graph.labels, fixed=graph.fixed, not_of=graph.not_of
    )
    return _named(graph, before)


def _named(graph: Graph, before: Mapping[int, int | None]) -> dict[int, Label]:
    """New groups get the row of the old one that they mostly are, where that is free."""
    taken = {label for label in graph.labels.values() if label > 0}
    free = {
        face: person
        for face, person in before.items()
        if person is not None and person not in taken
    }
    new = {face: label for face, label in graph.labels.items() if label < 0}
    names = chinese_whispers.named_after(new, free)
    for face, label in new.items():
        person = names.get(label, label)
        ruled_out = person > 0 and person in graph.not_of.get(face, ())
        graph.labels[face] = alone(face) if ruled_out else person
    return graph.labels


def _with_one_alone(labels: Mapping[int, Label]) -> dict[int, Label]:
    """A new group of one face is none."""
    sizes: dict[Label, int] = {}
    for label in labels.values():
        sizes[label] = sizes.get(label, 0) + 1
    return {
        face: alone(face) if label < 0 and sizes[label] == 1 else label
        for face, label in labels.items()
    }


def _groups(labels: Mapping[int, Label]) -> int:
    """How many labels are those of a group: a row's, or shared."""
    return len({label for face, label in labels.items() if label != alone(face)})
