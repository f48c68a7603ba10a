"""My photos: which, in which order, and what people say about them."""

from collections.abc import Sequence
from datetime import date
from typing import Final

from django.test import TestCase
from django.utils import timezone

from backend.photos.albums import service
from backend.photos.extraction.results import FaceResult, record
from backend.photos.matching import jobs, member_photos
from backend.photos.members import consent
from backend.photos.models import (
    Album,
    Extraction,
    Match,
    MatchRejection,
    Member,
    Photo,
    PhotoFace,
    Reference,
    RejectedImage,
)
from backend.photos.tests import face_factories, factories
from backend.photos.tests.face_factories import encoding
from wire.events import BoxShape


class MatchesTestCase(TestCase):
    def setUp(self) -> None:
        self.album = factories.album()
        self.alice, self.bob = factories.member("alice"), factories.member("bob")

    def shown(self, member: Member) -> list[str]:
        face_factories.match_all()
        return list(face_factories.names(member_photos.photos_of(member)))


class PhotosOfTests(MatchesTestCase):
    def test_a_member_sees_their_photos_of_the_newest_album_first(self) -> None:
        older = factories.album("Spring", day=date(2026, 4, 1))
        face_factories.photo(older, encoding(1, 1), name="spring")
        face_factories.photo(self.album, encoding(1, 2), name="summer 2")
        first = face_factories.photo(self.album, encoding(2, 3), encoding(1, 3), name="summer 1")
        Photo.objects.filter(pk=first.pk).update(taken_at=timezone.now().replace(year=2020))
        face_factories.photo(self.album, encoding(2, 4), name="of Bob alone")
        face_factories.reference(self.alice, encoding(1, 9))
        face_factories.reference(self.bob, encoding(2, 9))
        self.assertEqual(self.shown(self.alice), ["summer 1", "summer 2", "spring"])
        self.assertEqual(self.shown(self.bob), ["summer 1", "of Bob alone"])

    def test_a_photo_is_shown_once_however_many_references_and_faces_match(self) -> None:
        face_factories.photo(self.album, encoding(1, 1), encoding(1, 2), name="a mirror")
        for number in range(3):
            face_factories.reference(self.alice, encoding(1, 10 + number))
        self.assertEqual(self.shown(self.alice), ["a mirror"])

    def test_hidden_and_incomplete_albums_hidden_and_unprepared_photos_are_not_shown(self) -> None:
        photo = face_factories.photo(self.album, encoding(1, 1), name="seen")
        face_factories.reference(self.alice, encoding(1, 2))
        albums, photos = Album.objects.all(), Photo.objects.filter(pk=photo.pk)
        for rows, change in (
            (albums, {"hidden": True}),
            (albums, {"is_processing": True}),
            (photos, {"hidden": True}),
            (photos, {"file": ""}),
        ):
            with self.subTest(change):
                rows.update(**change)
                self.assertEqual(self.shown(self.alice), [])
                albums.update(hidden=False, is_processing=False)
                photos.update(hidden=False, file="some.jpg")
                self.assertEqual(self.shown(self.alice), ["seen"])

    def test_only_albums_dated_while_they_were_a_member_are_shown(self) -> None:
        for year in (2023, 2024, 2025):
            album = factories.album(str(year), day=date(year, 6, 1))
            face_factories.photo(album, encoding(1, year), name=str(year))
        face_factories.reference(self.alice, encoding(1, 1))
        self.alice.joined_on = date(2024, 6, 1)
        self.assertEqual(self.shown(self.alice), ["2025", "2024"])
        self.alice.left_on = date(2024, 12, 31)
        self.assertEqual(self.shown(self.alice), ["2024"])

    def test_a_marked_reference_hides_its_matches_at_once_and_another_keeps_the_photo(self) -> None:
        face_factories.photo(self.album, encoding(1, 1), name="seen")
        references = [
            face_factories.reference(self.alice, encoding(1, 10 + number)) for number in range(2)
        ]
        self.assertEqual(self.shown(self.alice), ["seen"])
        marked = Reference.objects.filter(pk=references[0].pk)
        marked.update(marked_for_deletion_at=timezone.now())
        self.assertEqual(self.shown(self.alice), ["seen"])
        Reference.objects.update(marked_for_deletion_at=timezone.now())
        self.assertEqual(self.shown(self.alice), [])
        self.assertFalse(member_photos.is_on(self.alice, Photo.objects.get()))

    def test_it_is_processing_until_each_reference_was_compared_with_the_photos(self) -> None:
        self.assertFalse(member_photos.is_processing(self.alice))
        waiting = Reference.objects.create(member=self.alice, sha256="a")
        self.assertTrue(member_photos.is_processing(self.alice))
        Reference.objects.filter(pk=waiting.pk).update(extraction=Extraction.REJECTED)
        self.assertFalse(member_photos.is_processing(self.alice))
        face_factories.reference(self.alice, encoding(1))
        self.assertTrue(member_photos.is_processing(self.alice))
        face_factories.match_all()
        self.assertFalse(member_photos.is_processing(self.alice))
        self.assertFalse(member_photos.is_processing(self.bob))


class NotMeTests(MatchesTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.photo = face_factories.photo(self.album, encoding(1, 1), encoding(2, 1), name="wrong")
        face_factories.photo(self.album, encoding(1, 2), name="right")
        face_factories.reference(self.alice, encoding(1, 9))
        face_factories.match_all()
        member_photos.say_not_me(self.alice, self.photo)

    def test_a_photo_of_which_a_member_says_not_me_is_not_shown_until_that_is_undone(self) -> None:
        self.assertEqual(self.shown(self.alice), ["right"])
        self.assertEqual(member_photos.members_on(self.photo), [])
        self.assertTrue(member_photos.undo_not_me(self.alice, self.photo))
        self.assertEqual(self.shown(self.alice), ["wrong", "right"])
        self.assertFalse(member_photos.undo_not_me(self.alice, self.photo))

    def test_it_survives_matching_again_and_new_references(self) -> None:
        jobs.photo_recorded(self.photo)
        face_factories.reference(self.alice, encoding(1, 10))
        self.assertEqual(self.shown(self.alice), ["right"])
        self.assertEqual(Match.objects.filter(photo=self.photo).count(), 2)

    def test_said_again_nothing_changes(self) -> None:
        member_photos.say_not_me(self.alice, self.photo)
        self.assertEqual(MatchRejection.objects.count(), 1)

    def test_it_is_about_that_face_and_member_alone(self) -> None:
        face_factories.reference(self.bob, encoding(1, 11))
        self.assertEqual(self.shown(self.bob), ["wrong", "right"])
        face_factories.reference(self.alice, encoding(2, 11))
        self.assertEqual(self.shown(self.alice), ["wrong", "right"])

    def test_of_a_photo_whose_faces_are_found_anew_it_holds_for_the_photo(self) -> None:
        member_photos.undo_not_me(self.alice, self.photo)
        PhotoFace.objects.create(photo=self.photo, index=5, encoding=encoding(1, 3))
        jobs.photo_recorded(self.photo)
        face_factories.match_all()
        member_photos.say_not_me(self.alice, self.photo)
        PhotoFace.objects.filter(photo=self.photo).delete()
        PhotoFace.objects.create(photo=self.photo, index=0, encoding=encoding(1, 4))
        jobs.photo_recorded(self.photo)
        self.assertEqual(self.shown(self.alice), ["right"])
        self.assertEqual(member_photos.members_on(self.photo), [])
        self.assertTrue(member_photos.undo_not_me(self.alice, self.photo))
        self.assertEqual(self.shown(self.alice), ["wrong", "right"])


class NotMeByBytesTests(MatchesTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.photo = self.taken("one")
        face_factories.reference(self.alice, encoding(1, 9))
        face_factories.match_all()

    def taken(self, name: str, *, faces: Sequence[int] = (1, 2), boxes: bool = False) -> Photo:
        """A photo with the bytes of all others here, in an album of its own."""
        photo = Photo.objects.create(
            album=factories.album(name), sha256="5" * 64, name=name, file="some.jpg"
        )
        found = [FaceResult(encoding(face, 1), _BOX if boxes else None) for face in faces]
        assert record(photo, found, extractor="a test")
        return photo

    def test_it_holds_for_copies_in_other_albums_that_are_there_and_that_come(self) -> None:
        self.taken("two")
        face_factories.match_all()
        self.assertEqual(set(self.shown(self.alice)), {"one", "two"})
        member_photos.say_not_me(self.alice, self.photo)
        self.taken("three")
        face_factories.match_all()
        self.assertEqual(self.shown(self.alice), [])

    def test_it_holds_for_a_photo_that_is_erased_and_uploaded_again(self) -> None:
        member_photos.say_not_me(self.alice, self.photo)
        service.erase_photo(self.photo)
        again = self.taken("again")
        face_factories.match_all()
        self.assertEqual(self.shown(self.alice), [])
        self.assertTrue(member_photos.said_not_me(self.alice, again))

    def test_it_is_about_that_face_on_a_copy_too_if_the_face_is_where_it_was(self) -> None:
        member_photos.say_not_me(self.alice, self.photo)
        self.taken("same faces")
        self.taken("faces of another detector", boxes=True)
        face_factories.reference(self.alice, encoding(2, 9))
        self.assertEqual(set(self.shown(self.alice)), {"one", "same faces"})

    def test_taken_back_on_one_copy_it_is_taken_back_on_all(self) -> None:
        member_photos.say_not_me(self.alice, self.photo)
        copy = self.taken("two")
        face_factories.match_all()
        self.assertTrue(member_photos.undo_not_me(self.alice, copy))
        self.assertEqual(set(self.shown(self.alice)), {"one", "two"})
        self.taken("three")
        face_factories.match_all()
        self.assertEqual(set(self.shown(self.alice)), {"one", "two", "three"})

    def test_it_is_about_that_member_and_goes_when_they_opt_out(self) -> None:
        member_photos.say_not_me(self.alice, self.photo)
        face_factories.reference(self.bob, encoding(1, 11))
        self.assertEqual(self.shown(self.bob), ["one"])
        consent.opt_out(self.alice)
        self.assertFalse(RejectedImage.objects.exists())


_BOX: Final[BoxShape] = {"top": 1, "right": 9, "bottom": 9, "left": 1}


class ByHandTests(MatchesTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.photo = face_factories.photo(self.album, name="from behind")
        face_factories.match_all()

    def test_a_member_is_added_where_no_face_was_found_and_removed_again(self) -> None:
        self.assertTrue(member_photos.add_by_hand(self.bob, self.photo))
        self.assertFalse(member_photos.add_by_hand(self.bob, self.photo))
        self.assertEqual(self.shown(self.bob), ["from behind"])
        self.assertEqual([each.how for each in member_photos.members_on(self.photo)], ["by hand"])
        self.assertTrue(member_photos.remove_by_hand(self.bob, self.photo))
        self.assertEqual(self.shown(self.bob), [])
        self.assertFalse(member_photos.remove_by_hand(self.bob, self.photo))

    def test_what_is_removed_by_hand_is_only_what_was_said_by_hand(self) -> None:
        photo = face_factories.photo(self.album, encoding(1, 1), name="seen")
        face_factories.reference(self.alice, encoding(1, 2))
        member_photos.add_by_hand(self.alice, photo)
        member_photos.remove_by_hand(self.alice, photo)
        self.assertEqual(self.shown(self.alice), ["seen"])

    def test_of_a_manual_tag_and_a_rejection_the_later_one_wins(self) -> None:
        member_photos.add_by_hand(self.bob, self.photo)
        member_photos.say_not_me(self.bob, self.photo)
        self.assertEqual(self.shown(self.bob), [])
        member_photos.add_by_hand(self.bob, self.photo)
        self.assertEqual(self.shown(self.bob), ["from behind"])
        self.assertEqual([each.how for each in member_photos.members_on(self.photo)], ["by hand"])

    def test_it_is_deleted_with_the_photo_and_by_opting_out(self) -> None:
        member_photos.add_by_hand(self.bob, self.photo)
        jobs.delete_matches_of(self.bob)
        self.assertEqual(self.shown(self.bob), [])
        member_photos.add_by_hand(self.bob, self.photo)
        self.photo.delete()
        self.assertEqual(self.shown(self.bob), [])

    def test_staff_sees_the_members_on_a_photo_with_face_and_distance(self) -> None:
        photo = face_factories.photo(self.album, encoding(1, 1), encoding(2, 1))
        face_factories.reference(self.alice, encoding(1, 2))
        nearest = face_factories.reference(self.alice, encoding(1, 1, far=0.149))
        face_factories.match_all()
        (found,) = member_photos.members_on(photo)
        expected = Match.objects.get(reference=nearest)
        self.assertEqual((found.member_id, found.face_id), (self.alice.pk, expected.face_id))
        self.assertEqual(found.distance, expected.distance)
