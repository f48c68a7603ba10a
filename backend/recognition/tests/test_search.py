"""The search over all users of a client: exact, and limited to the client's own faces."""

from typing import Any
from unittest import mock

import numpy
from django.db import connection
from django.test import TestCase

from backend.clients.tests import factories as clients
from backend.recognition.gallery import search
from backend.recognition.models import Contact, Face, User
from backend.recognition.tests import factories
from backend.recognition.tests.factories import MODEL, add, near, person


class SearchTests(TestCase):
    alice: int
    bob: int
    people: list[factories.Encodings]

    @classmethod
    def setUpTestData(cls) -> None:
        cls.alice, cls.bob = clients.client("alice").pk, clients.client("bob").pk
        cls.people = [person() for _ in range(40)]
        for number, each in enumerate(cls.people):
            for owner_id in (cls.alice, cls.bob):
                to = factories.user(number % 7, owner_id=owner_id)
                add(to, number, [near(each, 0.3) for _ in range(4)])

    def best(self, probe: factories.Encodings, owner_id: int) -> list[search.Match]:
        return search.best(owner_id, probe, model=MODEL, at_most=3)

    def users(self, owner_id: int) -> list[int]:
        return list(User.objects.filter(owner_id=owner_id).values_list("pk", flat=True))

    def test_it_finds_contacts_of_all_users_of_the_client_only(self) -> None:
        for number in (0, 11, 39):
            for owner_id in (self.alice, self.bob):
                (match,) = self.best(self.people[number], owner_id)
                contact = Contact.objects.select_related("user").get(pk=match.contact)
                self.assertEqual(contact.contact_id, number)
                self.assertEqual((contact.user.owner_id, contact.user.pk), (owner_id, match.user))

    def test_a_stranger_is_unknown(self) -> None:
        self.assertEqual(self.best(person(), self.alice), [])
        self.assertEqual(self.best(self.people[0], clients.client("charlie").pk), [])

    def test_a_contact_of_two_users_is_found_twice(self) -> None:
        add(factories.user(99, owner_id=self.alice), 1, [near(self.people[3], 0.3)])
        found = self.best(self.people[3], self.alice)
        self.assertEqual(len({match.user for match in found}), 2)

    def test_faces_of_another_model_or_not_indexed_are_not_compared(self) -> None:
        add(factories.user(99, owner_id=self.alice), 1, [self.people[3]], model="another")
        Face.objects.filter(contact__contact_id=3, user__owner_id=self.alice).exclude(
            model="another"
        ).update(is_indexed=False)
        self.assertEqual(self.best(self.people[3], self.alice), [])

    def test_blocks_and_index_answer_like_comparing_every_face(self) -> None:
        every = self.users(self.alice)
        rows = Face.objects.with_encodings().filter(user__in=every)
        for probe in (near(each, 0.35) for each in self.people[::5]):
            best: dict[int, tuple[float, int]] = {}
            for face in rows:
                far = float(numpy.linalg.norm(face.encoding.astype("f8") - probe.astype("f8")))
                best[face.contact_id] = min(best.get(face.contact_id, (9.0, 0)), (far, face.pk))
            wanted = sorted(best.items(), key=lambda item: item[1])[:3]
            for found in self.each_way(every, probe):
                self.assertEqual(
                    [(near.group, near.id) for near in found], [(c, id) for c, (_, id) in wanted]
                )

    def each_way(self, users: list[int], probe: factories.Encodings) -> list[Any]:
        with mock.patch.multiple(search, _BLOCK=30, _USERS=3):
            blocks = search.exactly(users, probe, model=MODEL, at_most=3)
        exact = search.nearest(users, probe, model=MODEL, at_most=3)
        with mock.patch.object(search, "_EXACT_FACES", 1):
            by_index = search.nearest(users, probe, model=MODEL, at_most=3)
        return [blocks, exact, by_index]

    def test_if_the_index_finds_too_few_every_face_is_compared(self) -> None:
        if connection.vendor != "postgresql":
            self.skipTest("SQLite has no such index")
        users, probe = self.users(self.alice), self.people[5]
        few = {"hnsw.ef_search": "1", "hnsw.iterative_scan": "off"}
        with (
            mock.patch.object(search, "_EXACT_FACES", 1),
            mock.patch.object(search, "INDEX_OPTIONS", few),
            mock.patch.object(search, "by_index", wraps=search.by_index) as by_index,
        ):
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL enable_seqscan = off")
                cursor.execute("SET LOCAL enable_bitmapscan = off")
                cursor.execute("SET LOCAL enable_sort = off")
            found = search.nearest(users, probe, model=MODEL, at_most=3)
        by_index.assert_called_once()
        self.assertEqual(found, search.exactly(users, probe, model=MODEL, at_most=3))
