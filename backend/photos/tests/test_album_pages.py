"""Albums changed, chosen photos, rejections that are taken back, merges that are undone."""

import io
import zipfile
from functools import partial
from typing import Any
from unittest import mock

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client, TestCase, TransactionTestCase, override_settings

from backend.clients.models import AuditEntry
from backend.photos.members import consent
from backend.photos.models import Album, ManualTag, Person, Photo, Reference
from backend.photos.tests import face_factories, factories
from backend.photos.tests.test_permissions import PAGES, logged_in, person_on
from backend.photos.web import faces
from tests.support import samples
from tests.support.at_once import at_once

_NONE = "/members/photos/people/unmerge/"


class AlbumPageTests(TestCase):
    def setUp(self) -> None:
        self.zoe = logged_in("zoe")
        self.album = factories.album()
        self.path = f"{PAGES}/albums/{self.album.pk}"

    def test_an_album_is_renamed_and_deleted(self) -> None:
        self.assertContains(self.zoe.get(f"{self.path}/edit/"), self.album.title)
        sent = {"title": "Winter", "date": "2026-01-02", "hidden": "on"}
        self.zoe.post(f"{self.path}/edit/", sent)
        changed = Album.objects.get()
        self.assertEqual((changed.title, changed.date.year, changed.hidden), ("Winter", 2026, True))
        self.zoe.post(f"{self.path}/delete/")
        self.assertFalse(Album.objects.exists())
        subject = f"album {self.album.pk}"
        noted = AuditEntry.objects.filter(subject=subject).order_by("pk")
        done = list(noted.values_list("actor", "action"))
        self.assertEqual(done, [("admin zoe", "change album"), ("admin zoe", "erase album")])

    def test_chosen_photos_are_hidden_shown_and_erased_and_no_others(self) -> None:
        photos = [face_factories.photo(self.album, face_factories.encoding(n)) for n in (1, 2)]
        other = face_factories.photo(factories.album(), face_factories.encoding(3))
        keys = [photos[0].pk, other.pk]
        for action, hidden in (("hide", True), ("show", False)):
            self.zoe.post(f"{self.path}/choose/", {"photo": keys, "action": action})
            for each in (*photos, other):
                each.refresh_from_db()
            flags = [each.hidden for each in (*photos, other)]
            self.assertEqual(flags, [hidden, False, False])
        self.zoe.post(f"{self.path}/choose/", {"photo": keys, "action": "erase"})
        self.assertEqual(list(self.album.photos.values_list("pk", flat=True)), [photos[1].pk])
        noted = AuditEntry.objects.filter(subject=f"photo {photos[0].pk}").order_by("pk")
        actions = list(noted.values_list("action", flat=True))
        self.assertEqual(actions, ["hide photo", "show photo", "erase photo"])
        answer = self.zoe.post(f"{self.path}/choose/", {"action": "erase"}, follow=True)
        self.assertContains(answer, "Choose some photos first.")

    def test_all_photos_that_a_member_sees_are_downloaded_in_one_zip(self) -> None:
        kept = [factories.photo(self.album, factories.jpeg(str(n)), "a.jpg") for n in (1, 2)]
        hidden = factories.photo(self.album, factories.jpeg("3"), "b.jpg")
        for each in (*kept, hidden):
            factories.processed(each)
        Album.objects.update(is_processing=False)
        self.zoe.post(f"{self.path}/choose/", {"photo": [hidden.pk], "action": "hide"})
        alice = logged_in("alice")
        self.assertContains(alice.get(f"{self.path}/"), "Download all")
        answer = alice.get(f"{self.path}/download/")
        self.assertIn("Summer.zip", answer["Content-Disposition"])
        with zipfile.ZipFile(io.BytesIO(b"".join(answer))) as archive:
            self.assertIsNone(archive.testzip())
            self.assertEqual(archive.namelist(), ["a.jpg", f"a {kept[1].pk}.jpg"])
        with zipfile.ZipFile(io.BytesIO(b"".join(self.zoe.get(f"{self.path}/download/")))) as all_:
            self.assertEqual(len(all_.namelist()), 3)
        self.assertEqual(alice.get(f"{self.path}/download/?from=9").status_code, 404)

    def test_a_large_album_is_several_downloads(self) -> None:
        for number in range(3):
            face_factories.photo(self.album, face_factories.encoding(number))
        with mock.patch("backend.photos.web.zipped.MOST_PHOTOS", 2):
            answer = self.zoe.get(f"{self.path}/")
        self.assertContains(answer, "Download from photo 1 on")
        self.assertContains(answer, "download?from=2")

    def test_a_cover_shows_heads(self) -> None:
        photo = face_factories.photo(self.album, face_factories.encoding(1))
        Photo.objects.update(width=100, height=300)
        photo.refresh_from_db()
        for top, bottom, wanted in ((0, 20, "x0 y0"), (240, 280, "x0 y8"), (130, 170, "x0 y4")):
            photo.faces.update(top=top, bottom=bottom, left=10, right=30)
            self.assertEqual(faces.focus(photo), wanted)
        self.assertContains(self.zoe.get(f"{PAGES}/"), 'class="x0 y4"')
        # More than a square has room for: heads first.
        photo.faces.update(top=60, bottom=290)
        self.assertEqual(faces.focus(photo), "x0 y0")


class FacesOnPhotoTests(TestCase):
    def setUp(self) -> None:
        self.zoe, self.alice = logged_in("zoe"), logged_in("alice")
        self.photo = face_factories.photo(factories.album(), face_factories.encoding(1))
        Photo.objects.update(width=200, height=100)
        self.photo.faces.update(top=10, right=60, bottom=50, left=20)
        self.path = f"{PAGES}/{self.photo.pk}"

    def test_that_is_me_is_said_of_a_face(self) -> None:
        answer = self.alice.get(f"{self.path}/")
        self.assertContains(answer, 'aria-label="Face 1"')
        self.assertContains(answer, 'data-left="10.000" data-top="10.000" data-width="20.000"')
        self.assertNotContains(answer, "<datalist")
        self.alice.post(f"{self.path}/me/", {"face": "0"})
        self.assertEqual(ManualTag.objects.get().face, self.photo.faces.get())
        self.assertContains(self.alice.get(f"{self.path}/"), "Face 1: you")
        self.assertNotContains(logged_in("bob").get(f"{self.path}/"), "Face 1:")
        self.alice.post(f"{self.path}/not-me/")
        self.assertFalse(ManualTag.objects.exists())

    def test_staff_adds_a_member_who_takes_part_to_a_face(self) -> None:
        form = {"face": "0", "member": "alice"}
        refused = self.zoe.post(f"{self.path}/tag/", form, follow=True)
        self.assertContains(refused, "No member of this name takes part.")
        consent.opt_in(factories.member("alice"))
        self.assertContains(self.zoe.get(f"{self.path}/"), '<option value="alice">')
        self.assertContains(self.zoe.post(f"{self.path}/tag/", form, follow=True), "Face 1: alice")
        self.assertContains(self.alice.get(f"{self.path}/"), "This photo is among yours.")
        self.photo.faces.all().delete()
        self.assertEqual(ManualTag.objects.get().face, None)


class MemberPageTests(TestCase):
    def setUp(self) -> None:
        self.alice = logged_in("alice")
        self.member = factories.member("alice")

    def upload(self, *files: bytes) -> Any:
        sent = [SimpleUploadedFile(f"{n}.jpg", data) for n, data in enumerate(files)]
        form = {"file": sent, "agree": "on"}
        return self.alice.post(f"{PAGES}/facedetection/upload/", form, follow=True)

    def test_an_upload_reports_how_many_were_taken_and_refused(self) -> None:
        one = samples.face()
        answer = self.upload(one, samples.another(one, 1), b"no image", one)
        self.assertContains(answer, "2 taken, 2 refused.")
        self.assertContains(answer, "3.jpg: You have uploaded this picture already.")
        self.assertEqual(Reference.objects.count(), 2)
        again = self.upload(one)
        self.assertContains(again, "You have uploaded this picture already.", status_code=400)

    def test_not_me_is_undone_from_the_message_and_from_the_list(self) -> None:
        consent.opt_in(self.member)
        photo = face_factories.photo(factories.album(), face_factories.encoding(1))
        face_factories.reference(self.member, face_factories.encoding(1, 1))
        face_factories.match_all()
        you, undo = f"{PAGES}/facedetection/you/", f"{PAGES}/{photo.pk}/undo-not-me"
        said = self.alice.post(f"{PAGES}/{photo.pk}/not-me/", {"next": you}, follow=True)
        self.assertContains(said, f'action="{undo}')
        self.assertContains(said, "Taken off: 1 photo")
        listed = self.alice.get(f"{PAGES}/facedetection/taken-off/")
        self.assertContains(listed, f'action="{undo}')
        bob = logged_in("bob")
        self.assertNotContains(bob.get(f"{PAGES}/facedetection/taken-off/"), undo)
        back = self.alice.post(f"{undo}/", {"next": you}, follow=True)
        self.assertContains(back, "1 photo,")
        self.assertNotContains(back, "Taken off")


@override_settings(FACES_GROUP_UNKNOWN=True)
class GroupPageTests(TestCase):
    def test_a_merge_says_so_and_is_undone(self) -> None:
        zoe, album = logged_in("zoe"), factories.album()
        one, two = person_on(album), person_on(album)
        Person.objects.filter(pk=two.pk).update(name="Joe")
        faces = set(two.faces.values_list("pk", flat=True))
        page = f"{PAGES}/people/{one.pk}"
        self.assertContains(zoe.get(f"{page}/"), f'value="{two.pk}"')
        said = zoe.post(f"{page}/merge/", {"other": two.pk}, follow=True)
        self.assertContains(said, "Merged with Joe.")
        self.assertContains(said, 'action="/members/photos/people/unmerge')
        self.assertEqual(one.faces.count(), 4)
        zoe.post(_NONE)
        again = Person.objects.get(name="Joe")
        self.assertEqual(set(again.faces.values_list("pk", flat=True)), faces)
        self.assertEqual(one.faces.count(), 2)
        self.assertContains(zoe.post(_NONE, follow=True), "There is nothing to undo.")

    @override_settings(FACES_GROUP_UNKNOWN=False)
    def test_the_page_explains_its_switch_where_it_is_off(self) -> None:
        answer = logged_in("zoe").get(f"{PAGES}/people/")
        self.assertContains(answer, "FACES_GROUP_UNKNOWN=true", status_code=404)
        self.assertContains(answer, "/help/people/", status_code=404)


@override_settings(FACES_GROUP_UNKNOWN=True)
class AtTheSameTimeTests(TransactionTestCase):
    def test_of_undos_of_a_merge_one_takes_effect(self) -> None:
        zoe, album = logged_in("zoe"), factories.album()
        one, two = person_on(album), person_on(album)
        zoe.post(f"{PAGES}/people/{one.pk}/merge/", {"other": two.pk})
        browsers = [Client() for _ in range(4)]
        for each in browsers:
            each.cookies = zoe.cookies
        at_once([partial(each.post, _NONE) for each in browsers])
        faces = sorted(each.faces.count() for each in Person.objects.all())
        self.assertEqual(faces, [2, 2])
