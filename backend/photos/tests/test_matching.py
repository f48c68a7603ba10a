"""Matching beside comparing each with each: in any order, by many at once, after crashes."""

import multiprocessing
import random
from datetime import timedelta
from importlib import import_module
from io import StringIO
from unittest import skipUnless
from unittest.mock import patch

import numpy
from django.apps import apps
from django.core.management import call_command
from django.db import IntegrityError, connection, connections, transaction
from django.test import TestCase, TransactionTestCase, override_settings
from django.utils import timezone

from backend.common.jobs import queues, sweep
from backend.common.jobs.models import Status
from backend.photos.extraction.results import FaceResult, record
from backend.photos.matching import jobs
from backend.photos.models import Match, Matching, Photo, PhotoFace, Reference
from backend.photos.similarity import search
from backend.photos.tests import face_factories, factories
from backend.photos.tests.face_factories import FAR, encoding


class MatchingTests(TestCase):
    def setUp(self) -> None:
        self.album = factories.album()
        self.alice, self.bob = factories.member("alice"), factories.member("bob")

    def test_pairs_are_those_of_comparing_each_with_each_whatever_the_order(self) -> None:
        order = random.Random(7)
        people = range(4)
        sides = [("photo", number) for number in range(25)] + [("reference", n) for n in range(15)]
        order.shuffle(sides)
        for kind, number in sides:
            if kind == "photo":
                some = order.sample(people, order.randint(0, 3))
                face_factories.photo(self.album, *(encoding(who, number, far=FAR) for who in some))
            else:
                who = number % 4
                face_factories.reference(self.alice, encoding(who, 100 + number, far=FAR))
            if order.random() < 0.5:
                face_factories.match_all()
        face_factories.match_all()
        self.assertEqual(face_factories.pairs(), face_factories.near_pairs())
        self.assertGreater(len(face_factories.pairs()), 20)

    def test_rows_are_compared_in_batches_and_none_is_left_out(self) -> None:
        for number in range(5):
            face_factories.photo(self.album, encoding(1, number), encoding(2, number))
            face_factories.reference(self.alice, encoding(1, 10 + number))
        with patch.object(search, "_BATCH", 3):
            face_factories.match_all()
        self.assertEqual(face_factories.pairs(), face_factories.near_pairs())
        self.assertEqual(len(face_factories.pairs()), 25)

    def test_the_distance_is_that_of_float64_and_kept_with_the_pair(self) -> None:
        one, other = encoding(1, 1), encoding(1, 2)
        face_factories.photo(self.album, one)
        face_factories.reference(self.alice, other)
        face_factories.match_all()
        expected = float(numpy.linalg.norm(one.astype("f8") - other.astype("f8")))
        self.assertAlmostEqual(Match.objects.get().distance, expected, places=14)

    def test_what_is_as_far_as_the_setting_does_not_match(self) -> None:
        nothing, half = numpy.zeros(128), numpy.zeros(128)
        half[3] = 0.5
        with override_settings(FACES_MATCH_DISTANCE=0.5):
            face_factories.photo(self.album, nothing)
            face_factories.reference(self.alice, half)
            face_factories.match_all()
            self.assertEqual(face_factories.pairs(), [])
        with override_settings(FACES_MATCH_DISTANCE=0.5000001):
            call_command("match_photos", "--all", stdout=StringIO())
            face_factories.match_all()
            self.assertEqual(face_factories.pairs(), face_factories.near_pairs(0.5000001))
            self.assertEqual(Match.objects.count(), 1)

    def test_matched_again_with_a_smaller_distance_the_far_pairs_go(self) -> None:
        for number in range(6):
            face_factories.photo(self.album, encoding(1, number, far=0.1 * number))
        face_factories.reference(self.alice, encoding(1, 9, far=0.05))
        face_factories.match_all()
        before = face_factories.pairs()
        with override_settings(FACES_MATCH_DISTANCE=0.25):
            call_command("match_photos", "--all", stdout=StringIO())
            face_factories.match_all()
        self.assertEqual(face_factories.pairs(), face_factories.near_pairs(0.25))
        self.assertLess(0, len(face_factories.pairs()))
        self.assertLess(len(face_factories.pairs()), len(before))

    def test_matched_again_from_both_sides_nothing_is_doubled(self) -> None:
        photo = face_factories.photo(self.album, encoding(1, 1))
        reference = face_factories.reference(self.alice, encoding(1, 2))
        for _ in range(3):
            jobs.photo_recorded(photo)
            jobs.reference_recorded(reference)
            face_factories.match_all()
        self.assertEqual(Match.objects.count(), 1)

    def test_a_photo_without_faces_and_a_first_reference_match_nothing(self) -> None:
        face_factories.photo(self.album)
        face_factories.reference(self.alice, encoding(1))
        face_factories.match_all()
        self.assertEqual((Match.objects.count(), Matching.objects.count()), (0, 0))

    def test_a_reference_marked_for_deletion_is_not_compared_any_more(self) -> None:
        reference = face_factories.reference(self.alice, encoding(1, 1))
        Reference.objects.filter(pk=reference.pk).update(marked_for_deletion_at=timezone.now())
        face_factories.photo(self.album, encoding(1, 2))
        face_factories.match_all()
        self.assertEqual(face_factories.pairs(), [])

    def test_more_probes_than_the_database_compares_itself_match_the_same(self) -> None:
        many = [encoding(who, 1, far=FAR) for who in range(40)]
        for who in range(0, 40, 2):
            face_factories.reference(self.alice, encoding(who, 2, far=FAR))
        face_factories.match_all()
        face_factories.photo(self.album, *many)
        face_factories.match_all()
        self.assertEqual(face_factories.pairs(), face_factories.near_pairs())
        self.assertGreater(len(face_factories.pairs()), 5)

    def test_matches_go_with_the_photo_the_album_the_reference_and_the_member(self) -> None:
        other = factories.album("Winter")
        photos = [face_factories.photo(self.album, encoding(1, n)) for n in range(3)]
        face_factories.photo(other, encoding(1, 9))
        first, _ = (face_factories.reference(self.alice, encoding(1, 20 + n)) for n in range(2))
        face_factories.match_all()
        counts = [Match.objects.count()]
        photos[0].delete()
        counts.append(Match.objects.count())
        first.delete()
        counts.append(Match.objects.count())
        other.delete()
        counts.append(Match.objects.count())
        with transaction.atomic():
            jobs.delete_matches_of(self.alice)
        counts.append(Match.objects.count())
        self.assertEqual(counts, [8, 6, 3, 2, 0])


class CrashTests(TestCase):
    def setUp(self) -> None:
        self.album, self.alice = factories.album(), factories.member("alice")

    def test_what_is_recorded_and_what_asks_for_its_matching_are_there_together(self) -> None:
        with self.assertRaises(KeyError), transaction.atomic():
            face_factories.photo(self.album, encoding(1))
            raise KeyError
        self.assertEqual((PhotoFace.objects.count(), Matching.objects.count()), (0, 0))

    def test_the_sweep_enqueues_what_a_crash_left_out_of_the_queue(self) -> None:
        photo = face_factories.photo(
            self.album, encoding(1)
        )  # within the test nothing is committed
        asked = Matching.objects.get(photo=photo)
        self.assertNotIn(asked.job_id, queues.waiting(queues.INTERACTIVE))
        Matching.objects.update(created_at=timezone.now() - timedelta(minutes=1))
        sweep.once()
        self.assertIn(asked.job_id, queues.waiting(queues.INTERACTIVE))
        queues.forget(queues.INTERACTIVE, asked.job_id)

    def test_a_worker_that_died_while_it_compared_is_replaced(self) -> None:
        face_factories.reference(self.alice, encoding(1, 1))
        face_factories.match_all()
        face_factories.photo(self.album, encoding(1, 2))
        left = {"claimed_by": "elsewhere", "claimed_until": timezone.now() - timedelta(1)}
        Matching.objects.update(status=Status.PROCESSING, attempts=1, **left)
        face_factories.match_all()
        self.assertEqual(face_factories.pairs(), [])
        sweep.once()
        face_factories.match_all()
        self.assertEqual(face_factories.pairs(), face_factories.near_pairs())
        self.assertEqual(len(face_factories.pairs()), 1)

    def test_what_failed_for_good_is_asked_for_again_by_the_command(self) -> None:
        face_factories.photo(self.album, encoding(1))
        Matching.objects.update(status=Status.FAILED, processed_at=timezone.now())
        call_command("match_photos", stdout=StringIO())
        self.assertEqual(Matching.objects.get().status, Status.QUEUED)


@skipUnless(connection.vendor == "sqlite", "only SQLite had packed copies")
class PackedEncodingsTests(TestCase):
    def test_the_migration_drops_the_copies_and_their_triggers(self) -> None:
        name, migration = "photos_encodingblock", "0005_drop_packed_encodings"
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE TABLE {name} (id INTEGER PRIMARY KEY, encodings BLOB)")
            cursor.execute(
                "CREATE TRIGGER photos_photoface_inserted AFTER INSERT ON photos_photoface BEGIN"
                f" DELETE FROM {name}; END"
            )
        module = import_module(f"backend.photos.migrations.{migration}")
        module.drop(apps, connection.schema_editor())
        self.assertNotIn(name, connection.introspection.table_names())
        face_factories.photo(factories.album(), encoding(1))


class ConcurrencyTests(TransactionTestCase):
    def test_processes_that_record_and_match_at_once_miss_no_pair_and_double_none(self) -> None:
        album, members = (
            factories.album().pk,
            [factories.member(name).pk for name in ("alice", "bob")],
        )
        context = multiprocessing.get_context("fork")
        start = context.Barrier(4)
        connections.close_all()
        workers = [
            context.Process(target=_record_and_match, args=(seed, album, members, start))
            for seed in range(4)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(60)
        self.assertEqual([worker.exitcode for worker in workers], [0] * 4)
        face_factories.match_all()
        self.assertEqual(Matching.objects.count(), 0)
        self.assertEqual(face_factories.pairs(), face_factories.near_pairs())
        self.assertGreater(len(face_factories.pairs()), 30)

    def test_a_reference_that_another_process_deletes_matches_nothing_any_more(self) -> None:
        alice, photo = (
            factories.member("alice"),
            face_factories.photo(factories.album(), encoding(1, 1)),
        )
        kept, gone = (face_factories.reference(alice, encoding(1, n)) for n in (2, 3))
        self.assertEqual(self.matched(photo), {kept.pk, gone.pk})
        connections.close_all()
        other = multiprocessing.get_context("fork").Process(target=_delete, args=(gone.pk,))
        other.start()
        other.join(30)
        self.assertEqual(other.exitcode, 0)
        self.assertEqual(self.matched(photo), {kept.pk})

    def matched(self, photo: Photo) -> set[int]:
        """The references that the photo, compared in this process, is near to."""
        return {match.reference_id for match in jobs.of_photo(photo.pk)}

    def test_a_face_that_goes_while_it_is_compared_is_left_out(self) -> None:
        alice, album = factories.member("alice"), factories.album()
        kept, gone = (face_factories.photo(album, encoding(1, n)) for n in (1, 2))
        face_factories.match_all()
        reference = face_factories.reference(alice, encoding(1, 3))
        asked = Matching.claim(Matching.objects.get(reference=reference).pk)
        assert asked is not None
        found = jobs.of_reference(reference.pk)
        self.assertEqual({match.photo_id for match in found}, {kept.pk, gone.pk})
        gone.delete()
        with self.assertRaises(IntegrityError):
            jobs.store(asked, found)
        self.assertEqual(Match.objects.count(), 0)
        jobs.store(asked, jobs.of_reference(reference.pk))
        self.assertEqual(Match.objects.get().photo_id, kept.pk)
        self.assertEqual(Matching.objects.count(), 0)


def _delete(reference: int) -> None:
    Reference.objects.filter(pk=reference).delete()
    connections.close_all()


def _record_and_match(seed: int, album: int, members: list[int], start: object) -> None:
    """A process's part: photos and references in an order of its own, matched by anybody."""
    order = random.Random(seed)
    start.wait(30)  # type: ignore[attr-defined]
    for number in range(12):
        who, number = order.randrange(3), 100 * seed + number
        if order.random() < 0.5:
            photo = Photo.objects.create(album_id=album, sha256=f"{number}", file="some.jpg")
            matched = {"photo_id": photo.pk}
            record(photo, [FaceResult(encoding(who, number, far=FAR))], extractor="a test")
        else:
            member_id = order.choice(members)
            reference = Reference.objects.create(member_id=member_id, sha256=f"{number}")
            matched = {"reference_id": reference.pk}
            found = [FaceResult(encoding(who, number, far=FAR))]
            record(reference, found, extractor="a test")
        asked = list(Matching.objects.exclude(**matched).values_list("pk", flat=True)[:2])
        asked += Matching.objects.filter(**matched).values_list("pk", flat=True)
        for id in asked:
            jobs.run(str(id))
    connections.close_all()
