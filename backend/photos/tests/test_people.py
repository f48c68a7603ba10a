"""Groups of unknown people: how faces come to them, and what people decide about them."""

import random
from io import StringIO

from django.core.management import CommandError, call_command
from django.db import transaction
from django.test import TestCase, override_settings
from django.utils import timezone

from backend.common.jobs import sweep
from backend.common.jobs.models import Status
from backend.photos.clustering import curation, grouping
from backend.photos.clustering.recluster import Busy, recluster
from backend.photos.matching import jobs, member_photos
from backend.photos.models import (
    CLUSTERING_JOB_ID,
    ClusteringJob,
    Match,
    MatchRejection,
    Person,
    Photo,
    PhotoFace,
    UnknownFace,
)
from backend.photos.tests import face_factories, factories
from backend.photos.tests.face_factories import encoding


@override_settings(FACES_GROUP_UNKNOWN=True)
class PeopleTestCase(TestCase):
    def setUp(self) -> None:
        self.album = factories.album()
        self.alice, self.bob = factories.member("alice"), factories.member("bob")

    def show(self, *people_on_each: tuple[int, ...]) -> list[Photo]:
        """A photo each, with a face of each of these people; matched and placed."""
        start = Photo.objects.count()
        made = [
            face_factories.photo(self.album, *(encoding(who, start + number) for who in some))
            for number, some in enumerate(people_on_each)
        ]
        self.place()
        return made

    def place(self) -> None:
        """What workers would do."""
        face_factories.match_all()
        grouping.request()
        ClusteringJob.objects.update(due_at=timezone.now())
        grouping.run(str(CLUSTERING_JOB_ID))

    def grouped(self) -> set[frozenset[int]]:
        """The groups, as the faces in each."""
        found: dict[int, set[int]] = {}
        rows = UnknownFace.objects.exclude(person=None).values_list("person_id", "pk")
        for person, face in rows:
            found.setdefault(person, set()).add(face)
        return {frozenset(each) for each in found.values()}

    def faces_of(self, *photos: Photo) -> list[int]:
        rows = PhotoFace.objects.filter(photo__in=photos)
        return sorted(rows.values_list("pk", flat=True))


class PlacingTests(PeopleTestCase):
    def test_faces_of_one_person_come_into_one_group_as_photos_come(self) -> None:
        first = self.show((1, 2), (3,))
        self.assertEqual(self.grouped(), set())
        self.show((1,))
        later = self.show((1, 2))
        self.assertEqual(sorted(map(len, self.grouped())), [2, 3])
        self.assertEqual(Person.objects.count(), 2)
        self.assertEqual(UnknownFace.objects.filter(person=None).count(), 1)
        both = self.faces_of(first[0]) + self.faces_of(later[0])
        self.assertEqual(UnknownFace.objects.filter(pk__in=both).exclude(person=None).count(), 4)

    def test_the_same_photos_fall_into_the_same_groups_in_whatever_order_they_are_placed(
        self,
    ) -> None:
        photos = [
            face_factories.photo(self.album, encoding(n % 5, n), encoding(5 + n % 3, n))
            for n in range(30)
        ]
        orders = []
        for seed in range(3):
            curation.delete_all()
            random.Random(seed).shuffle(photos)
            for photo in photos:
                jobs.photo_recorded(photo)
                if photo.pk % (seed + 2) == 0:
                    self.place()
            self.place()
            orders.append(self.grouped())
        self.assertEqual(sorted(map(len, orders[0])), [6] * 5 + [10] * 3)
        self.assertEqual(orders, orders[:1] * 3)

    def test_faces_that_match_a_member_or_are_too_poor_come_into_no_group(self) -> None:
        face_factories.reference(self.alice, encoding(1, 99))
        self.show((1, 2), (1, 2))
        poor = face_factories.photo(self.album, encoding(2, 50))
        PhotoFace.objects.filter(photo=poor).update(quality={"too_poor": "small"})
        self.place()
        self.assertEqual([len(each) for each in self.grouped()], [2])
        self.assertEqual(UnknownFace.objects.count(), 2)

    def test_faces_leave_their_group_when_a_members_reference_comes(self) -> None:
        self.show((1, 2), (1, 2), (1,))
        curation.name(Person.objects.get(pk=self.person_of(1)), "Somebody")
        face_factories.reference(self.alice, encoding(1, 99))
        self.place()
        self.assertEqual([len(each) for each in self.grouped()], [2])
        self.assertEqual(member_photos.photos_of(self.alice).count(), 3)

    def test_what_a_photo_and_a_reference_of_one_moment_leave_matched_and_grouped_is_mended(
        self,
    ) -> None:
        photos = self.show((1,), (1,))
        (face, other) = self.faces_of(*photos)
        reference = face_factories.reference(self.alice, encoding(9))
        matched = Match.objects.create(
            reference=reference, face_id=face, photo=photos[0], distance=0.3
        )
        MatchRejection.objects.create(member=self.alice, photo=photos[0], face_id=face)
        grouping.sweep()
        self.assertEqual(self.grouped(), {frozenset([face, other])})
        MatchRejection.objects.all().delete()
        grouping.sweep()
        self.assertEqual(self.grouped(), {frozenset([other])})
        Match.objects.create(reference=reference, face_id=other, photo=photos[1], distance=0.3)
        grouping.sweep()
        self.assertEqual((UnknownFace.objects.count(), Person.objects.count()), (0, 0))
        self.assertTrue(Match.objects.filter(pk=matched.pk).exists())

    def test_a_face_of_which_a_member_says_not_me_is_unknown_again(self) -> None:
        face_factories.reference(self.alice, encoding(1, 99))
        first, second = self.show((1,), (1,))
        for photo in (first, second):
            member_photos.say_not_me(self.alice, photo)
        self.place()
        self.assertEqual(self.grouped(), {frozenset(self.faces_of(first, second))})
        member_photos.undo_not_me(self.alice, first)
        self.assertEqual(self.grouped(), {frozenset(self.faces_of(second))})

    def test_where_it_is_switched_off_nothing_of_unknown_people_is_kept(self) -> None:
        with override_settings(FACES_GROUP_UNKNOWN=False):
            self.show((1,), (1,))
            grouping.sweep()
            self.assertEqual((UnknownFace.objects.count(), Person.objects.count()), (0, 0))
            with self.assertRaises(CommandError):
                call_command("cluster_people")

    def test_a_worker_that_died_while_it_placed_is_replaced(self) -> None:
        face_factories.photo(self.album, encoding(1, 1))
        face_factories.match_all()
        grouping.request()
        long_ago = timezone.now().replace(year=2020)
        ClusteringJob.objects.update(status=Status.PROCESSING, attempts=1, claimed_until=long_ago)
        sweep.once()
        grouping.run(str(CLUSTERING_JOB_ID))
        self.assertEqual((grouping.waiting().count(), UnknownFace.objects.count()), (0, 1))
        self.assertEqual(ClusteringJob.objects.get().status, Status.DONE)

    def test_what_came_while_others_were_placed_is_asked_for_by_the_sweep(self) -> None:
        self.show((1,))
        face = PhotoFace.objects.get()
        UnknownFace.objects.filter(face=face).update(is_clustered=False)
        grouping.sweep()
        self.assertEqual(ClusteringJob.objects.get().status, Status.QUEUED)

    def test_an_unnamed_group_is_deleted_with_its_last_photo(self) -> None:
        photos = self.show((1,), (1,))
        for photo in photos:
            photo.delete()
        self.show((2,))
        self.assertEqual(Person.objects.count(), 0)

    def person_of(self, who: int) -> int:
        """The group of a person's first face."""
        for face in PhotoFace.objects.with_encodings().order_by("pk"):
            if abs(face.encoding - face_factories.centre(who)).sum() < 3:
                return UnknownFace.objects.get(face=face).person_id or 0
        raise LookupError


class DecisionTests(PeopleTestCase):
    """Each also after new photos, and after all was grouped anew."""

    def setUp(self) -> None:
        super().setUp()
        self.photos = self.show((1, 2), (1, 2), (1, 2))
        self.one, self.other = Person.objects.order_by("pk")

    def go_on(self) -> None:
        self.show((1, 2), (1,))
        recluster(dry_run=False)

    def test_a_named_and_a_hidden_group_stay_and_grow(self) -> None:
        curation.name(self.one, " Uncle Bob ")
        curation.hide(self.other)
        self.go_on()
        self.assertEqual(
            [(each.name, each.faces.count()) for each in curation.shown()], [("Uncle Bob", 5)]
        )
        self.other.refresh_from_db()
        self.assertEqual((self.other.hidden, self.other.faces.count()), (True, 4))

    def test_merged_groups_stay_one(self) -> None:
        curation.merge(self.one, self.other)
        self.go_on()
        self.assertEqual([len(each) for each in self.grouped()], [9])
        self.assertEqual(list(Person.objects.all()), [self.one])

    def test_a_split_group_stays_two_and_new_faces_come_into_one_of_them(self) -> None:
        held = sorted(self.one.faces.values_list("pk", flat=True))
        new = curation.split(self.one, held[:1])
        self.go_on()
        self.assertEqual(UnknownFace.objects.get(pk=held[0]).person, new)
        self.assertEqual(
            set(UnknownFace.objects.filter(pk__in=held[1:]).values_list("person_id", flat=True)),
            {self.one.pk},
        )
        self.assertEqual(self.one.faces.count() + new.faces.count(), 5)

    def test_a_split_of_nothing_all_or_others_is_refused(self) -> None:
        held = set(self.one.faces.values_list("pk", flat=True))
        others = set(self.other.faces.values_list("pk", flat=True))
        for wrong in (set(), held, others, {min(held), min(others)}):
            with self.subTest(wrong), self.assertRaises(curation.CurationError):
                curation.split(self.one, wrong)

    def test_a_face_that_was_taken_out_does_not_come_back(self) -> None:
        face = self.one.faces.order_by("pk").values_list("pk", flat=True)[0]
        self.assertTrue(curation.take_out(self.one, face))
        self.assertFalse(curation.take_out(self.one, face))
        self.place()
        self.assertIsNone(UnknownFace.objects.get(pk=face).person)
        self.go_on()
        self.assertNotEqual(UnknownFace.objects.get(pk=face).person, self.one)
        self.assertEqual(self.one.faces.count(), 4)

    def test_a_group_counts_as_a_members_when_both_said_so_and_new_photos_come_to_it(self) -> None:
        curation.claim(self.one, self.alice)
        self.assertEqual(member_photos.photos_of(self.alice).count(), 0)
        self.assertTrue(curation.confirm(self.one))
        self.assertEqual(member_photos.photos_of(self.alice).count(), 3)
        self.go_on()
        self.assertEqual(member_photos.photos_of(self.alice).count(), 5)
        (found,) = member_photos.members_on(self.photos[0])
        self.assertEqual((found.member_id, found.how), (self.alice.pk, "grouped"))
        member_photos.say_not_me(self.alice, self.photos[0])
        self.assertEqual(member_photos.photos_of(self.alice).count(), 4)
        curation.disclaim(self.one)
        self.assertEqual(member_photos.photos_of(self.alice).count(), 0)

    def test_only_the_member_can_accept_an_offer(self) -> None:
        curation.offer(self.one, self.alice)
        self.assertFalse(curation.agree(self.one, self.bob))
        self.assertFalse(curation.confirm(self.one))
        self.assertEqual(member_photos.photos_of(self.alice).count(), 0)
        self.assertTrue(curation.agree(self.one, self.alice))
        self.assertEqual(member_photos.photos_of(self.alice).count(), 3)
        with self.assertRaises(curation.CurationError):
            curation.claim(self.one, self.bob)
        with transaction.atomic():
            jobs.delete_matches_of(self.alice)
        self.assertFalse(Person.objects.filter(pk=self.one.pk).exists())

    def test_a_members_group_is_merged_into_no_other(self) -> None:
        curation.claim(self.other, self.alice)
        with self.assertRaises(curation.CurationError):
            curation.merge(self.one, self.other)
        curation.merge(self.other, self.one)
        self.assertEqual([len(each) for each in self.grouped()], [6])


class ReclusteringTests(PeopleTestCase):
    def test_a_dry_run_reports_and_changes_nothing(self) -> None:
        self.show((1,), (1,), (2,), (2,))
        moved = UnknownFace.objects.exclude(person=None).order_by("pk")[0]
        UnknownFace.objects.filter(pk=moved.pk).update(person=None)
        before, output = self.grouped(), StringIO()
        call_command("cluster_people", "--dry-run", stdout=output, stderr=StringIO())
        self.assertIn("4 faces, 2 groups before and 2 after: would move 1 faces", output.getvalue())
        self.assertEqual(self.grouped(), before)
        call_command("cluster_people", stdout=output, stderr=StringIO())
        self.assertEqual(sorted(map(len, self.grouped())), [2, 2])
        self.assertIsNotNone(UnknownFace.objects.get(pk=moved.pk).person)

    def test_groups_keep_their_rows_and_faces_without_a_match_come_back(self) -> None:
        reference = face_factories.reference(self.alice, encoding(1, 99))
        self.show((1, 2), (1, 2))
        rows = set(Person.objects.values_list("pk", flat=True))
        reference.delete()
        recluster(dry_run=False)
        self.assertEqual(sorted(map(len, self.grouped())), [2, 2])
        self.assertLess(rows, set(Person.objects.values_list("pk", flat=True)))

    def test_it_fails_at_once_while_a_worker_clusters(self) -> None:
        grouping.request()
        ClusteringJob.objects.update(due_at=timezone.now())
        assert ClusteringJob.claim(CLUSTERING_JOB_ID)
        with self.assertRaises(Busy):
            recluster(dry_run=False)

    def test_all_is_forgotten_by_the_command(self) -> None:
        self.show((1,), (1,))
        call_command("cluster_people", "--forget", stdout=StringIO())
        self.assertEqual((UnknownFace.objects.count(), Person.objects.count()), (0, 0))
