"""Opted out means gone: every table, file and key is searched for what was known of a member."""

from django.test import TestCase, override_settings

from backend.photos.albums import service
from backend.photos.clustering import curation, grouping
from backend.photos.matching import member_photos
from backend.photos.members import consent, references
from backend.photos.models import Person, Photo, PhotoFace, Reference, UnknownFace
from backend.photos.tests import face_factories, factories
from tests.support import data_residue


@override_settings(FACES_PHOTOS_EXTRACTION="off", FACES_GROUP_UNKNOWN=True)
class TracesTests(TestCase):
    def setUp(self) -> None:
        self.alice, self.album = factories.member("alice"), factories.album()
        self.photos = [
            face_factories.photo(self.album, face_factories.encoding(who)) for who in (1, 2, 2)
        ]
        self.encoding = face_factories.encoding(1, 9)
        self.pictured = factories.processed(
            factories.reference(self.alice, factories.jpeg("Alice"))
        )
        self.marked = face_factories.reference(self.alice, face_factories.encoding(1, 8))
        self.reference = face_factories.reference(self.alice, self.encoding)
        references.mark_for_deletion(self.marked)
        face_factories.match_all()
        self.traces = {
            "picture": str(self.pictured.key).encode(),
            "its bytes": self.pictured.sha256.encode(),
            "encoding": data_residue.of(self.encoding),
            "deleted encoding": data_residue.of(face_factories.encoding(1, 8)),
            "group": b"Secret Alice",
        }

    def group(self) -> Person:
        """Two faces that match no reference, which Alice says are hers, and staff confirms."""
        person = Person.objects.create()
        some = PhotoFace.objects.filter(photo__in=self.photos[1:])
        UnknownFace.objects.all().delete()
        UnknownFace.objects.bulk_create(
            UnknownFace(face=face, person=person, is_clustered=True) for face in some
        )
        curation.name(person, "Secret Alice")
        curation.claim(person, self.alice)
        curation.confirm(person)
        return person

    def test_nothing_is_left_of_a_member_who_opted_out(self) -> None:
        self.group()
        member_photos.say_not_me(self.alice, self.photos[0])
        member_photos.add_by_hand(self.alice, self.photos[2])
        self.assertEqual(set(data_residue.found(self.traces)), set(self.traces))
        consent.opt_out(self.alice)
        self.assertEqual(data_residue.found(self.traces), {})
        self.assertFalse(member_photos.photos_of(self.alice).exists())
        self.assertEqual([member_photos.members_on(photo) for photo in self.photos], [[], [], []])

    def test_a_group_goes_that_counted_as_them(self) -> None:
        person = self.group()
        consent.opt_out(self.alice)
        self.assertFalse(Person.objects.filter(pk=person.pk).exists())
        self.assertFalse(UnknownFace.objects.exists())

    def test_a_group_stays_that_was_only_claimed_or_offered(self) -> None:
        person = self.group()
        for give in (curation.claim, curation.offer):
            curation.disclaim(person)
            give(person, self.alice)
            consent.opt_out(self.alice)
            person.refresh_from_db()
            found = (person.member_id, person.agreed_at, person.confirmed_at, person.name)
            self.assertEqual(found, (None, None, None, "Secret Alice"))
            self.assertEqual(person.faces.count(), 2)

    def test_nothing_is_left_of_an_erased_photo(self) -> None:
        photo = factories.processed(factories.photo(self.album, factories.jpeg("a photo")))
        known = {"key": str(photo.key).encode(), "bytes": photo.sha256.encode()}
        face = data_residue.of(face_factories.encoding(1))
        self.assertEqual(set(data_residue.found({**known, "face": face})), {*known, "face"})
        service.erase_photo(photo)
        service.erase_photo(self.photos[0])
        self.assertEqual(data_residue.found({**known, "face": face}), {})
        self.assertEqual(Photo.objects.count(), 2)
        self.assertTrue(Reference.objects.filter(pk=self.reference.pk).exists())
        self.assertEqual(grouping.remove_matched(), 0)
