"""Faces fall into groups by the votes of their neighbours: Chinese Whispers.

C. Biemann, "Chinese Whispers: an efficient graph clustering algorithm and its application to
natural language processing problems", TextGraphs 2006; dlib groups faces by it too. Faces nearer
than a distance are neighbours, and the nearer, the more a vote counts. Each face takes the label
that most of the votes about it are for, in turn, until none changes.

Biemann takes the faces in random order and draws lots for ties. Here they come by their ids, and of
a tie a group wins before a face alone, then the lowest label: the same faces always fall into the
same groups. A face that a person has put somewhere keeps its label (as labelled nodes do in label
propagation: X. Zhu and Z. Ghahramani, CMU-CALD-02-107, 2002), and labels that were ruled out for a
face are not voted for.

A label is the id of a group; of a face in none it is the face's own id, below zero. No database.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

NEIGHBOURS: Final = 32
"""Of a face, the nearest. More change little, and a person of a thousand photos has a million."""

_ROUNDS: Final = 30
"""Mostly it takes three to six; some graphs would go on for ever."""

Label = int
Neighbours = Mapping[int, Sequence[tuple[int, float]]]
"""Of each face: neighbours, and how much their vote counts."""


def alone(face: int) -> Label:
    """The label of a face in no group."""
    return -face


def weight(distance: float, limit: float) -> float:
    """What the vote of a neighbour at `distance` counts: from 1 down to 0 at `limit`."""
    return 1 - distance / limit


def whisper(
    faces: Iterable[int],
    neighbours: Neighbours,
    labels: dict[int, Label],
    *,
    fixed: Collection[int] = (),
    not_of: Mapping[int, Collection[Label]] | None = None,
    rounds: int = _ROUNDS,
) -> None:
    """Change the `labels` of `faces`, by the votes of all who have one there.

    `labels` may hold more faces than those, which vote and stay; so do the `fixed`.
    """
    turns = [face for face in sorted(faces) if face not in fixed]
    for _ in range(rounds):
        changed = 0
        for face in turns:
            ruled_out = (not_of or {}).get(face, ())
            label = _elected(face, neighbours.get(face, ()), labels, ruled_out)
            changed += label != labels[face]
            labels[face] = label
        if not changed:
            return


def named_after(labels: Mapping[int, Label], before: Mapping[int, Label]) -> dict[Label, Label]:
    """For each label the old one that most of its faces had, each given once, the largest first.

    So a group keeps its name when all are grouped anew. Labels without such are not in it.
    """
    common: dict[tuple[Label, Label], int] = defaultdict(int)
    for face, label in labels.items():
        old = before.get(face, alone(face))
        if old > 0:
            common[label, old] += 1
    names: dict[Label, Label] = {}
    given: set[Label] = set()
    for (label, old), _ in sorted(common.items(), key=lambda each: (-each[1], each[0])):
        if label not in names and old not in given:
            names[label] = old
            given.add(old)
    return names


def _elected(
    face: int,
    neighbours: Sequence[tuple[int, float]],
    labels: Mapping[int, Label],
    ruled_out: Collection[Label],
) -> Label:
    votes: dict[Label, float] = defaultdict(float)
    for other, counts in neighbours:
        label = labels.get(other)
        if label is not None and label not in ruled_out:
            votes[label] += counts
    if not votes:
        own = labels[face]
        return alone(face) if own in ruled_out else own
    return min(votes, key=lambda label: (-votes[label], label < 0, abs(label)))
