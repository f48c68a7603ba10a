"""The nearest contacts of one user: exact, up to date, and dropped from memory in time."""

import threading
import time
from unittest import mock

import numpy
from django.db import connection
from django.test import TestCase, TransactionTestCase, override_settings

from backend.analysis import fields
from backend.recognition.gallery import cache, index
from backend.recognition.models import Contact, Face, User
from backend.recognition.tests import factories
from backend.recognition.tests.factories import MODEL, add, moved, near, person


class GalleryTests(TestCase):
    def setUp(self) -> None:
        cache.cache.clear()
        self.user = factories.user()
        self.ann, self.bea = person(), person()

    def best(self, probe: factories.Encodings) -> list[index.Candidate]:
        return cache.identify(self.user, probe, model=MODEL)

    def numbers(self, probe: factories.Encodings) -> list[int]:
        """The contacts' numbers, best first."""
        found = self.best(probe)
        of = dict(Contact.objects.values_list("pk", "contact_id"))
        return [of[each.contact] for each in found]

    def test_the_nearest_face_of_each_contact_is_the_candidate(self) -> None:
        rows = add(self.user, 1, [near(self.ann, 0.3), near(self.ann, 0.1)])
        add(self.user, 2, [near(self.bea, 0.2)])
        (first,) = self.best(self.ann)
        self.assertEqual((first.face, first.contact), (rows[1].pk, rows[1].contact_id))
        self.assertAlmostEqual(first.distance, 0.1, places=6)
        assert first.gap is not None
        self.assertGreater(first.gap, 0.4)

    def test_a_stranger_has_no_candidates(self) -> None:
        add(self.user, 1, [self.ann])
        self.assertEqual(self.best(self.bea), [])
        self.assertEqual(cache.identify(factories.user(2), self.ann, model=MODEL), [])

    def test_contacts_that_look_alike_are_all_named_best_first(self) -> None:
        for number in range(5):
            add(self.user, number, [near(self.ann, 0.2 + number / 1000)])
        found = self.best(self.ann)
        self.assertEqual(self.numbers(self.ann), [0, 1, 2][: len(found)])
        self.assertGreaterEqual(len(found), 2)
        sure = [each.confidence for each in found]
        self.assertEqual(sure, sorted(sure, reverse=True))

    def test_equally_near_contacts_come_in_the_order_of_their_faces(self) -> None:
        add(self.user, 9, [self.ann])
        add(self.user, 3, [self.ann])
        for _ in range(2):
            self.assertEqual(self.numbers(self.ann), [9, 3])
            cache.cache.clear()

    def test_faces_that_are_not_indexed_are_not_compared(self) -> None:
        (row,) = add(self.user, 1, [self.ann])
        Face.objects.filter(pk=row.pk).update(is_indexed=False)
        moved(self.user)
        self.assertEqual(self.best(self.ann), [])

    def test_a_gallery_of_another_model_is_refused(self) -> None:
        add(self.user, 1, [self.ann], model="another model")
        for _ in range(2):
            with self.assertRaises(index.OnAnotherModel):
                self.best(self.ann)
            add(self.user, 2, [self.ann])

    def test_another_users_faces_are_not_compared(self) -> None:
        add(factories.user(2), 1, [self.ann])
        self.assertEqual(self.best(self.ann), [])

    def test_the_next_question_sees_every_change(self) -> None:
        add(self.user, 1, [self.ann])
        self.assertEqual(self.numbers(self.ann), [1])
        (row,) = add(self.user, 2, [self.bea])
        self.assertEqual(self.numbers(self.bea), [2])
        Face.objects.filter(pk=row.pk).update(
            contact=Contact.objects.create(user=self.user, contact_id=7)
        )
        moved(self.user)
        self.assertEqual(self.numbers(self.bea), [7])
        Face.objects.filter(pk=row.pk).delete()
        moved(self.user)
        self.assertEqual(self.best(self.bea), [])
        self.assertEqual(self.numbers(self.ann), [1])
        User.objects.all().delete()
        self.assertEqual(self.best(self.ann), [])

    def test_an_updated_gallery_answers_like_a_newly_read_one(self) -> None:
        random = numpy.random.default_rng(8)
        faces: list[Face] = []
        for step in range(12):
            faces += add(self.user, step % 4, [near(self.ann, 0.4) for _ in range(5)])
            for row in random.choice(len(faces), 2, replace=False):
                Face.objects.filter(pk=faces[row].pk).delete()
            moved(self.user)
            kept = cache.cache.get((self.user.pk, MODEL)).nearest(self.ann)
            cache.cache.clear()
            self.assertEqual(kept, cache.cache.get((self.user.pk, MODEL)).nearest(self.ann))

    def test_a_gallery_is_read_once_while_it_does_not_change(self) -> None:
        add(self.user, 1, [self.ann])
        self.best(self.ann)
        with self.assertNumQueries(1), mock.patch.object(fields, "read_many") as read:
            self.best(self.bea)
        read.assert_not_called()

    def test_only_new_encodings_are_read_after_a_change(self) -> None:
        add(self.user, 1, [self.ann])
        self.best(self.ann)
        (new,) = add(self.user, 2, [self.bea])
        with mock.patch.object(fields, "read_many", wraps=fields.read_many) as read:
            self.best(self.ann)
        rows = read.call_args_list[0].args[0]
        self.assertEqual(list(rows.values_list("pk", flat=True)), [new.pk])

    def test_the_cache_drops_the_least_recently_used_gallery(self) -> None:
        users = [factories.user(number) for number in range(4)]
        for each in users:
            add(each, 1, [self.ann] * 10)
        size = cache.cache.get((users[0].pk, MODEL)).nbytes
        with override_settings(FACES_GALLERY_CACHE_BYTES=2 * size):
            cache.cache.clear()
            for each in (users[0], users[1], users[0], users[2]):
                cache.cache.get((each.pk, MODEL))
            self.assertEqual([key[0] for key in cache.cache.cached()], [users[0].pk, users[2].pk])
        with override_settings(FACES_GALLERY_CACHE_BYTES=0):
            cache.cache.clear()
            cache.cache.get((users[3].pk, MODEL))
            self.assertEqual(cache.cache.cached(), [])

    @mock.patch.object(cache, "_IDLE_S", 0.05)
    def test_an_idle_gallery_is_dropped_by_a_timer(self) -> None:
        cache.cache.clear()
        add(self.user, 1, [self.ann])
        self.best(self.ann)
        deadline = time.monotonic() + 60
        while cache.cache.cached() and time.monotonic() < deadline:
            time.sleep(0.01)
        self.assertEqual(cache.cache.cached(), [])


class ThreadsTests(TransactionTestCase):
    def test_concurrent_threads_read_a_gallery_once(self) -> None:
        cache.cache.clear()
        user, ann = factories.user(), person()
        add(user, 1, [near(ann, 0.2) for _ in range(200)])
        ready, found = threading.Barrier(6), list[list[index.Candidate]]()

        def ask() -> None:
            ready.wait(10)
            found.append(cache.identify(user, ann, model=MODEL))
            connection.close()

        with mock.patch.object(index, "read", wraps=index.read) as read:
            threads = [threading.Thread(target=ask) for _ in range(6)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(20)
        self.assertEqual(read.call_count, 1)
        self.assertEqual(found, [found[0]] * 6)
        self.assertEqual(len(found[0]), 1)
