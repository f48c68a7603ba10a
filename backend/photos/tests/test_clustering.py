"""Chinese Whispers without a database."""

import random
from collections.abc import Iterable

from django.test import SimpleTestCase

from backend.analysis.chinese_whispers import (
    Graph,
    Label,
    Neighbours,
    group_label,
    inherited_groups,
    singleton_label,
)


def linked(*pairs: tuple[int, int]) -> Neighbours:
    """Neighbours of equal weight."""
    found: Neighbours = {}
    for one, other in pairs:
        found.setdefault(one, []).append((other, 1.0))
        found.setdefault(other, []).append((one, 1.0))
    return found


def clique(*faces: int) -> list[tuple[int, int]]:
    return [(one, other) for one in faces for other in faces if one < other]


def singletons(faces: Iterable[int]) -> dict[int, Label]:
    return {face: singleton_label(face) for face in faces}


class PropagationTests(SimpleTestCase):
    def test_one_look_alike_between_two_people_does_not_make_them_one(self) -> None:
        near = linked(*clique(1, 2, 3, 4), *clique(5, 6, 7, 8))
        near[4].append((5, 0.9))
        near[5].append((4, 0.9))
        graph = Graph(singletons(range(1, 9)), near)
        graph.propagate_labels(range(1, 9))
        self.assertEqual(len({graph.labels[face] for face in (1, 2, 3, 4)}), 1)
        self.assertEqual(len({graph.labels[face] for face in (5, 6, 7, 8)}), 1)
        self.assertNotEqual(graph.labels[1], graph.labels[8])

    def test_nearer_neighbours_count_more(self) -> None:
        for weights, elected in (((0.2, 0.7), 20), ((0.8, 0.7), 10)):
            labels = {1: group_label(10), 2: group_label(20), 3: singleton_label(3)}
            graph = Graph(labels, {3: [(1, weights[0]), (2, weights[1])]})
            graph.propagate_labels([3])
            self.assertEqual(labels[3], group_label(elected))

    def test_of_a_tie_a_group_wins_before_a_face_alone_and_then_the_lowest(self) -> None:
        labels = {1: singleton_label(1), 2: group_label(30), 3: group_label(20)}
        labels |= {4: singleton_label(4)}
        Graph(labels, linked((4, 1), (4, 2), (4, 3))).propagate_labels([4])
        self.assertEqual(labels[4], group_label(20))

    def test_fixed_faces_keep_their_label_and_vote_for_it(self) -> None:
        before = {1: group_label(10), 2: group_label(10), 3: group_label(10), 4: group_label(99)}
        graph = Graph(dict(before), linked(*clique(1, 2, 3, 4)), fixed={4})
        graph.propagate_labels(before)
        self.assertEqual(graph.labels, before)

    def test_labels_that_were_ruled_out_for_a_face_are_not_voted_for(self) -> None:
        group = group_label(10)
        labels = dict.fromkeys((1, 2, 3), group)
        graph = Graph(labels, linked((3, 1), (3, 2)), ruled_out={3: {group}})
        graph.propagate_labels([3])
        self.assertEqual(labels[3], singleton_label(3))

    def test_it_ends_and_the_order_in_which_faces_are_given_changes_nothing(self) -> None:
        order = random.Random(3)
        pairs = [(order.randint(1, 60), order.randint(1, 60)) for _ in range(200)]
        near = linked(*[(one, other) for one, other in pairs if one != other])
        results = []
        for _ in range(3):
            faces = list(range(1, 61))
            order.shuffle(faces)
            graph = Graph(singletons(faces), near)
            graph.propagate_labels(faces)
            results.append(graph.labels)
        self.assertEqual(results, results[:1] * 3)

    def test_a_group_keeps_its_name_where_most_of_its_faces_are(self) -> None:
        one, other, third = singleton_label(1), singleton_label(4), singleton_label(6)
        labels = {1: one, 2: one, 3: one, 4: other, 5: other, 6: third}
        before = {1: 7, 2: 7, 3: 8, 4: 7, 5: 8}
        self.assertEqual(inherited_groups(labels, before), {one: 7, other: 8})
