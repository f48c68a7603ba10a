"""Ways to group faces, on vectors made up as dlib's lie: one table.

    python -m benchmarks.people [--json FILE] [--people N]

Strangers are 0.8 apart, look-alikes 0.35, one person's faces 0.4 on average and some of them as far
as others'; all of that in few directions, so that chance brings some near. Most people have a few
faces, some a hundred. B-cubed precision and recall (A. Bagga and
B. Baldwin, COLING 1998) are means over all faces: how much of a face's group is that person, and
how much of that person is in its group. No database; the grouping is the service's own.
"""

import argparse
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import numpy
from numpy.typing import NDArray

from backend.analysis.chinese_whispers import (
    MAX_NEIGHBOURS,
    Graph,
    Label,
    Neighbours,
    group_label,
    singleton_label,
    weight,
)
from backend.analysis.nearest import Floats32, Matrix
from benchmarks.report import Figure, show

_LIMIT: Final = 0.49
_BATCH: Final = 256

_DIRECTIONS: Final = 40


def made_up(people: int) -> tuple[Floats32, NDArray[numpy.int64]]:
    """Encodings, and whose they are, in random order. A tenth of the people look like another."""
    rng = numpy.random.default_rng(5)
    space = numpy.linalg.qr(rng.standard_normal((128, _DIRECTIONS)))[0].T
    centres = rng.normal(0, 0.8 / numpy.sqrt(2 * _DIRECTIONS), (people, _DIRECTIONS)) @ space
    relatives = rng.permutation(people)[: people // 10]
    aside = rng.standard_normal((len(relatives), _DIRECTIONS)) @ space
    aside *= 0.35 / numpy.linalg.norm(aside, axis=1, keepdims=True)
    centres[relatives] = centres[(relatives + 1) % people] + aside
    who = numpy.repeat(numpy.arange(people), rng.zipf(1.6, people).clip(1, 100))
    far = 0.28 * rng.lognormal(0, 0.25, (len(who), 1))
    noise = rng.standard_normal((len(who), _DIRECTIONS)) @ space
    looks = centres[who] + far * noise / numpy.linalg.norm(noise, axis=1, keepdims=True)
    order = rng.permutation(len(who))
    return looks[order].astype("f4"), who[order]


def neighbours(matrix: Matrix) -> Neighbours:
    """Each face's nearest within the limit, nearest first; faces count from 1."""
    found: Neighbours = defaultdict(list)
    for start in range(0, len(matrix), _BATCH):
        for probe, id, distance in matrix.within(matrix.rows[start : start + _BATCH], _LIMIT):
            face = start + probe + 1
            if id != face and len(found[face]) < MAX_NEIGHBOURS:
                found[face].append((id, weight(distance, _LIMIT)))
    return found


def anew(near: Neighbours, count: int) -> dict[int, Label]:
    """Chinese Whispers over all, as `manage.py cluster_people`."""
    graph = Graph({face: singleton_label(face) for face in range(1, count + 1)}, near)
    graph.propagate_labels(graph.labels)
    return graph.labels


def as_they_come(near: Neighbours, count: int) -> dict[int, Label]:
    """The same, a batch after another, groups that are there staying as they are."""
    labels: dict[int, Label] = {}
    for start in range(1, count + 1, _BATCH):
        new = set(range(start, min(start + _BATCH, count + 1)))
        labels |= {face: singleton_label(face) for face in new}
        known: Neighbours = {
            face: [each for each in near.get(face, []) if each[0] in labels] for face in new
        }
        turns = set(new)
        for face in new:
            for other, counts in known[face]:
                if other not in new and labels[other].is_new:
                    turns.add(other)
                    known.setdefault(other, []).append((face, counts))
        Graph(labels, known).propagate_labels(turns)
        groups = Counter(labels[face] for face in turns)
        for face in turns:
            label = labels[face]
            if label.is_new:
                is_group = groups[label] > 1
                labels[face] = group_label(label.id) if is_group else singleton_label(face)
    return labels


def connected(near: Neighbours, count: int) -> dict[int, Label]:
    """All that are linked by neighbours: single linkage, DBSCAN with a minimum of one."""
    linked: dict[int, list[int]] = defaultdict(list)
    for face, some in near.items():
        for other, _ in some:
            linked[face].append(other)
            linked[other].append(face)
    labels: dict[int, Label] = {}
    for first in range(1, count + 1):
        waiting = [first] if first not in labels else []
        while waiting:
            face = waiting.pop()
            if face not in labels:
                labels[face] = group_label(first)
                waiting += linked[face]
    return labels


def dense(near: Neighbours, count: int) -> dict[int, Label]:
    """DBSCAN (Ester et al. 1996, incrementally 1998) with four faces to a core."""
    core = {face for face, some in near.items() if len(some) >= 3}
    linked = {face: [each for each in near[face] if each[0] in core] for face in core}
    labels = connected(linked, count)
    for face in range(1, count + 1):
        inside = [other for other, _ in near.get(face, []) if other in core]
        if face not in core:
            labels[face] = labels[inside[0]] if inside else singleton_label(face)
    return labels


def leaders(rows: Floats32) -> dict[int, Label]:
    """Each face to the nearest mean of a group within the limit, else a group of its own."""
    means, sizes, labels = numpy.empty((len(rows), 128)), list[int](), {}
    for number, row in enumerate(rows):
        far = numpy.linalg.norm(means[: len(sizes)] - row, axis=1)
        nearest = int(far.argmin()) if len(far) else -1
        if nearest < 0 or far[nearest] >= _LIMIT:
            nearest = len(sizes)
            sizes.append(0)
            means[nearest] = 0
        sizes[nearest] += 1
        means[nearest] += (row - means[nearest]) / sizes[nearest]
        labels[number + 1] = group_label(nearest + 1)
    return labels


def b_cubed(labels: dict[int, Label], who: NDArray[numpy.int64]) -> tuple[float, float]:
    """Precision and recall."""
    pairs = Counter((int(who[face - 1]), label) for face, label in labels.items())
    people, groups = Counter(who.tolist()), Counter(labels.values())
    precision = sum(both**2 / groups[label] for (_, label), both in pairs.items())
    recall = sum(both**2 / people[person] for (person, _), both in pairs.items())
    return precision / len(who), recall / len(who)


def compared(people: int) -> Iterator[Figure]:
    rows, who = made_up(people)
    count = len(rows)
    near = neighbours(Matrix.of(rows, numpy.arange(1, count + 1)))
    ways: dict[str, Callable[[], dict[int, Label]]] = {
        "Chinese Whispers, all anew": lambda: anew(near, count),
        "Chinese Whispers, as they come": lambda: as_they_come(near, count),
        "connected components": lambda: connected(near, count),
        "DBSCAN, cores of four": lambda: dense(near, count),
        "means of groups, as they come": lambda: leaders(rows),
    }
    for name, group in ways.items():
        began = time.monotonic()
        precision, recall = b_cubed(group(), who)
        both = 2 * precision * recall / (precision + recall)
        note = f"precision {precision:.3f}, recall {recall:.3f}; {time.monotonic() - began:.2f} s"
        yield Figure(f"{name}: B-cubed F", both, "", "", f"{note}, {count} faces")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--people", type=int, default=1500)
    options = parser.parse_args()
    show(compared(options.people), options.json)


if __name__ == "__main__":
    main()
