"""The votes by which faces come into groups, without a database."""

import random

from django.test import SimpleTestCase

from backend.photos.clustering.chinese_whispers import alone, named_after, whisper


def linked(*pairs: tuple[int, int]) -> dict[int, list[tuple[int, float]]]:
    """Neighbours of equal weight."""
    found: dict[int, list[tuple[int, float]]] = {}
    for one, other in pairs:
        found.setdefault(one, []).append((other, 1.0))
        found.setdefault(other, []).append((one, 1.0))
    return found


def clique(*faces: int) -> list[tuple[int, int]]:
    return [(one, other) for one in faces for other in faces if one < other]


class WhisperTests(SimpleTestCase):
    def test_one_look_alike_between_two_people_does_not_make_them_one(self) -> None:
        near = linked(*clique(1, 2, 3, 4), *clique(5, 6, 7, 8))
        near[4].append((5, 0.9))
        near[5].append((4, 0.9))
        labels = {face: alone(face) for face in range(1, 9)}
        whisper(labels, near, labels)
        self.assertEqual(len({labels[face] for face in (1, 2, 3, 4)}), 1)
        self.assertEqual(len({labels[face] for face in (5, 6, 7, 8)}), 1)
        self.assertNotEqual(labels[1], labels[8])

    def test_nearer_neighbours_count_more(self) -> None:
        labels = {1: 10, 2: 20, 3: alone(3)}
        whisper([3], {3: [(1, 0.2), (2, 0.7)]}, labels)
        self.assertEqual(labels[3], 20)
        labels[3] = alone(3)
        whisper([3], {3: [(1, 0.8), (2, 0.7)]}, labels)
        self.assertEqual(labels[3], 10)

    def test_of_a_tie_a_group_wins_before_a_face_alone_and_then_the_lowest(self) -> None:
        labels = {1: alone(1), 2: 30, 3: 20, 4: alone(4)}
        whisper([4], linked((4, 1), (4, 2), (4, 3)), labels)
        self.assertEqual(labels[4], 20)

    def test_fixed_faces_keep_their_label_and_vote_for_it(self) -> None:
        labels = {1: 10, 2: 10, 3: 10, 4: 99}
        near = linked(*clique(1, 2, 3, 4))
        whisper(labels, near, labels, fixed=[4])
        self.assertEqual(labels, {1: 10, 2: 10, 3: 10, 4: 99})

    def test_labels_that_were_ruled_out_for_a_face_are_not_voted_for(self) -> None:
        labels = {1: 10, 2: 10, 3: 10}
        whisper([3], linked((3, 1), (3, 2)), labels, not_of={3: {10}})
        self.assertEqual(labels[3], alone(3))

    def test_it_ends_and_the_order_in_which_faces_are_given_changes_nothing(self) -> None:
        order = random.Random(3)
        pairs = [(order.randint(1, 60), order.randint(1, 60)) for _ in range(200)]
        near = linked(*[(one, other) for one, other in pairs if one != other])
        results = []
        for _ in range(3):
            faces = list(range(1, 61))
            order.shuffle(faces)
            labels = {face: alone(face) for face in faces}
            whisper(faces, near, labels)
            results.append(labels)
        self.assertEqual(results, results[:1] * 3)

    def test_a_group_keeps_its_name_where_most_of_its_faces_are(self) -> None:
        labels = {1: -1, 2: -1, 3: -1, 4: -4, 5: -4, 6: -6}
        before = {1: 7, 2: 7, 3: 8, 4: 7, 5: 8, 6: alone(6)}
        self.assertEqual(named_after(labels, before), {-1: 7, -4: 8})
