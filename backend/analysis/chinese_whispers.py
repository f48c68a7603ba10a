"""Chinese Whispers: faces form clusters by the votes of their neighbours.

C. Biemann, "Chinese Whispers: an efficient graph clustering algorithm and its application to
natural language processing problems", TextGraphs 2006; dlib clusters faces by it too. Faces nearer
than a distance are neighbours, and a nearer one has a larger vote. Each face in turn takes the
label with the most votes, until none changes.

Biemann visits the faces in random order and breaks ties by lot. Here they are visited by id, and of
a tie the lowest label wins, so the same faces always form the same clusters. A fixed face keeps its
label, as labelled nodes do in label propagation (X. Zhu and Z. Ghahramani, CMU-CALD-02-107, 2002).
Labels that are ruled out for a face get no votes about it. No database.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

MAX_NEIGHBOURS: Final = 32
"""The nearest of a face. More change little, and a person of a thousand photos has a million."""

_ROUNDS: Final = 30
"""Most graphs take three to six; some would never end."""

Neighbours = dict[int, list[tuple[int, float]]]
"""By face: its neighbours, and the weight of their votes."""


class Label(NamedTuple):
    """A cluster: an existing group by its id, or a new cluster by the face that it began with.

    Sorted, groups come before new clusters, and lower ids first.
    """

    is_new: bool
    id: int


def group_label(group: int) -> Label:
    return Label(is_new=False, id=group)


def singleton_label(face: int) -> Label:
    """The label of a face in no group."""
    return Label(is_new=True, id=face)


def weight(distance: float, limit: float) -> float:
    """The weight of a neighbour's vote: from 1 at distance 0 down to 0 at `limit`."""
    return 1 - distance / limit


@dataclass
class Graph:
    """Labelled faces. Faces without a label have no vote."""

    labels: dict[int, Label]
    neighbours: Neighbours
    fixed: set[int] = field(default_factory=set)
    ruled_out: Mapping[int, set[Label]] = field(default_factory=dict)

    def propagate_labels(self, faces: Iterable[int], *, rounds: int = _ROUNDS) -> None:
        """Change the labels of `faces`, except of fixed ones; all labelled faces vote."""
        turns = [face for face in sorted(faces) if face not in self.fixed]
        for _ in range(rounds):
            changed = 0
            for face in turns:
                label = self._elected(face)
                changed += label != self.labels[face]
                self.labels[face] = label
            if not changed:
                return

    def _elected(self, face: int) -> Label:
        ruled_out = self.ruled_out.get(face, ())
        votes: dict[Label, float] = defaultdict(float)
        for other, weight in self.neighbours.get(face, ()):
            label = self.labels.get(other)
            if label is not None and label not in ruled_out:
                votes[label] += weight
        if votes:
            return min(votes, key=lambda label: (-votes[label], label))
        own = self.labels[face]
        return singleton_label(face) if own in ruled_out else own


def inherited_groups(labels: Mapping[int, Label], before: Mapping[int, int]) -> dict[Label, int]:
    """For each label the group that most of its faces were in `before`; the largest share first.

    Each group is given once, so a group keeps its name when all faces are clustered again.
    """
    shared: dict[tuple[Label, int], int] = defaultdict(int)
    for face, label in labels.items():
        if face in before:
            shared[label, before[face]] += 1
    groups: dict[Label, int] = {}
    given: set[int] = set()
    for (label, group), _ in sorted(shared.items(), key=lambda each: (-each[1], each[0])):
        if label not in groups and group not in given:
            groups[label] = group
            given.add(group)
    return groups
