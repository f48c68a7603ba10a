"""The pages without JavaScript; `tests/e2e/pages/test_photos_page.py` runs them in a browser."""

from typing import Any
from unittest.mock import patch

from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client, TestCase, override_settings

from backend.photos.clustering import curation
from backend.photos.extraction import results
from backend.photos.members import consent
from backend.photos.models import (
    Album,
    ManualTag,
    MatchRejection,
    Member,
    Person,
    Photo,
    Reference,
    UnknownFace,
)
from backend.photos.tests import face_factories, factories
from backend.photos.web import albums

PAGES = "/members/photos"
FACES = f"{PAGES}/facedetection"
NOT_PROCESSED = "Your reference has not been processed yet"

without_faces = override_settings(FACES_PHOTOS_EXTRACTION="off")


def file(content: bytes, name: str = "me.jpg") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content)


class PageCase(TestCase):
    def setUp(self) -> None:
        cache.clear()
        self.alice = factories.member("alice")
        self.client.force_login(factories.user("alice"))
        self.zoe = Client()
        self.zoe.force_login(factories.staff())

    def text(self, path: str, *, client: Client | None = None, status: int = 200) -> str:
        answer = (client or self.client).get(path)
        self.assertEqual(answer.status_code, status, answer.content)
        return answer.content.decode()

    def post(self, path: str, sent: Any = None, *, client: Client | None = None) -> str:
        """What the browser shows in the end."""
        answer = (client or self.client).post(path, sent or {}, follow=True)
        return str(answer.content.decode())


class YouTests(PageCase):
    def test_a_member_without_consent_sees_what_the_page_offers(self) -> None:
        shown = self.text(f"{FACES}/you/")
        self.assertIn("Upload a picture of my face", shown)
        self.assertNotIn(NOT_PROCESSED, shown)

    @without_faces
    def test_the_contracts_sentence_stands_there_while_a_reference_is_not_processed(self) -> None:
        reference = factories.reference(self.alice, factories.jpeg("a"))
        for page in ("you", "reference-faces"):
            self.assertIn(f"{NOT_PROCESSED}.", self.text(f"{FACES}/{page}/"))
        results.record(reference, [], extractor="test")
        for page in ("you", "reference-faces"):
            self.assertNotIn(NOT_PROCESSED, self.text(f"{FACES}/{page}/"))
        self.assertIn("There is no face in this picture.", self.text(f"{FACES}/reference-faces/"))

    def test_photos_are_listed_by_album_with_alternative_texts(self) -> None:
        consent.opt_in(self.alice)
        face_factories.reference(self.alice, face_factories.encoding(1))
        for title in ("Autumn", "Winter <b>"):
            album = factories.album(title)
            for number in range(2):
                face_factories.photo(album, face_factories.encoding(1, number))
        face_factories.match_all()
        shown = self.text(f"{FACES}/you/")
        self.assertIn('alt="Photo 2 of Autumn, 1 July 2026"', shown)
        self.assertIn('alt="Photo 1 of Winter &lt;b&gt;, 1 July 2026"', shown)
        self.assertEqual(shown.count('loading="lazy"'), 4)
        self.assertIn("300w", shown)
        self.assertEqual(self.client.get(f"{FACES}/you/?cursor=x").status_code, 302)
        older = self.text(f"{FACES}/you/?limit=3")
        self.assertIn('rel="next"', older)

    def test_an_offer_of_staff_is_asked_about(self) -> None:
        consent.opt_in(self.alice)
        person = Person.objects.create(name="Joe")
        photo = face_factories.photo(factories.album(), face_factories.encoding(8))
        UnknownFace.objects.create(face=photo.faces.get(), person=person, is_clustered=True)
        with override_settings(FACES_GROUP_UNKNOWN=True):
            curation.offer(person, self.alice)
            self.assertIn("“Joe”", self.text(f"{FACES}/you/"))
            self.post(f"{FACES}/claim/{person.pk}/")
            self.assertIn("1 photo,", self.text(f"{FACES}/you/"))
            self.post(f"{FACES}/claim/{person.pk}/", {"no": "1"})
            self.assertNotIn("1 photo,", self.text(f"{FACES}/you/"))


@without_faces
class ReferencePageTests(PageCase):
    def test_nothing_is_taken_in_before_the_member_agrees(self) -> None:
        shown = self.text(f"{FACES}/upload/")
        for word in ("What is stored", "Why:", "How long:", "180 days", "365 days", "opt out"):
            self.assertIn(word, shown)
        answer = self.client.post(f"{FACES}/upload/", {"file": file(factories.jpeg("a"))})
        self.assertContains(answer, "Tick this box first", status_code=400)
        self.assertFalse(Reference.objects.exists())
        sent = {"agree": "on", "file": [file(factories.jpeg("a")), file(factories.jpeg("b"))]}
        self.assertIn("My reference faces", self.post(f"{FACES}/upload/", sent))
        self.assertEqual(Reference.objects.filter(member=self.alice).count(), 2)
        self.assertNotIn("I agree", self.text(f"{FACES}/upload/"))

    def test_each_file_that_is_refused_is_named_with_its_reason(self) -> None:
        consent.opt_in(self.alice)
        sent = {"file": [file(b"x", "one.jpg"), file(factories.jpeg("a"), "two.txt")]}
        answer = self.client.post(f"{FACES}/upload/", sent)
        for words in ("one.jpg: It is not an image", "two.txt: Its name ends in none of"):
            self.assertContains(answer, words, status_code=400)
        answer = self.client.post(f"{FACES}/upload/")
        self.assertContains(answer, "Choose a picture", status_code=400)

    def test_where_amazon_gets_the_picture_the_page_says_so(self) -> None:
        self.assertNotIn("Amazon", self.text(f"{FACES}/upload/"))
        with override_settings(FACES_PHOTOS_EXTRACTION="lambda"):
            self.assertIn("Amazon", self.text(f"{FACES}/upload/"))

    def test_deleting_is_asked_about_and_marks(self) -> None:
        reference = factories.reference(self.alice, factories.jpeg("a"))
        path = f"{FACES}/delete/{reference.pk}/"
        self.assertIn("180 days", self.text(path))
        reference.refresh_from_db()
        self.assertIsNone(reference.marked_for_deletion_at)
        self.assertIn("is deleted", self.post(path))
        reference.refresh_from_db()
        self.assertIsNotNone(reference.marked_for_deletion_at)
        self.text(path, status=404)

    def test_opting_out_is_asked_about_and_erases(self) -> None:
        factories.reference(self.alice, factories.jpeg("a"))
        self.assertIn("At once and for good", self.text(f"{FACES}/opt-out/"))
        self.assertIn("You have opted out", self.post(f"{FACES}/opt-out/"))
        self.assertFalse(Reference.objects.exists())

    @override_settings(FACES_UPLOAD_RATE=(1, 86_400))
    def test_too_many_uploads_are_429_with_retry_after(self) -> None:
        self.client.post(f"{FACES}/upload/")
        answer = self.client.post(f"{FACES}/upload/")
        self.assertContains(answer, "too much in too short a time", status_code=429)
        self.assertIn("Retry-After", answer.headers)


class PhotoPageTests(PageCase):
    def setUp(self) -> None:
        super().setUp()
        self.photo = face_factories.photo(factories.album(), face_factories.encoding(1))

    def say(self, said: str, client: Client | None = None) -> str:
        return self.post(f"{PAGES}/{self.photo.pk}/{said}/", client=client)

    def test_it_is_liked_and_no_more(self) -> None:
        self.assertIn('<span class="number">1</span>', self.say("like"))
        self.assertIn('<span class="number">0</span>', self.say("unlike"))

    def test_a_member_says_that_they_are_on_it_and_takes_it_back(self) -> None:
        self.assertIn("This photo is among yours.", self.say("me"))
        self.assertTrue(ManualTag.objects.exists())
        self.assertNotIn("This photo is among yours.", self.say("not-by-hand"))

    def test_not_me_and_back(self) -> None:
        face_factories.reference(self.alice, face_factories.encoding(1, 1))
        face_factories.match_all()
        self.assertIn("Take “not me” back", self.say("not-me"))
        self.assertTrue(MatchRejection.objects.exists())
        self.assertIn("This photo is among yours.", self.say("undo-not-me"))

    def test_staff_hides_it_and_shows_it_again(self) -> None:
        self.say("hide", self.zoe)
        self.text(f"{PAGES}/{self.photo.pk}/", status=404)
        self.assertIn(
            "hidden", self.text(f"{PAGES}/albums/{self.photo.album_id}/", client=self.zoe)
        )
        self.say("show", self.zoe)
        self.text(f"{PAGES}/{self.photo.pk}/")

    def test_a_form_leads_back_to_our_pages_alone(self) -> None:
        for wanted in ("//evil.example", "https://evil.example", "/members/\\evil", "/admin/"):
            with self.subTest(wanted):
                path = f"{PAGES}/{self.photo.pk}/like/"
                answer = self.client.post(path, {"next": wanted})
                self.assertEqual(answer["Location"], f"{PAGES}/{self.photo.pk}")

    def test_of_an_unknown_person_members_see_no_name_and_can_claim_them(self) -> None:
        person = Person.objects.create(name="Joe")
        UnknownFace.objects.create(face=self.photo.faces.get(), person=person, is_clustered=True)
        path = f"{PAGES}/{self.photo.pk}/"
        with override_settings(FACES_GROUP_UNKNOWN=True):
            self.assertNotIn("That is me", self.text(path))
            consent.opt_in(self.alice)
            shown = self.text(path)
            self.assertIn("That is me", shown)
            self.assertNotIn("Joe", shown)
            self.assertIn("when staff confirms it", self.post(f"{FACES}/claim/{person.pk}/"))

    def test_an_album_is_shown_some_at_a_time_with_running_numbers(self) -> None:
        face_factories.photo(self.photo.album, face_factories.encoding(2))
        with patch.object(albums, "_SHOWN", 1):
            first = self.text(f"{PAGES}/albums/{self.photo.album_id}/")
            second = self.text(f"{PAGES}/albums/{self.photo.album_id}/?from=1")
        self.assertIn("Photo 1 of Summer", first)
        self.assertIn("?from=1", first)
        self.assertIn("Photo 2 of Summer", second)
        self.text(f"{PAGES}/albums/{self.photo.album_id}/?from=x")


@without_faces
class AlbumPageTests(PageCase):
    def test_staff_makes_an_album_and_fills_it_without_script(self) -> None:
        self.post(
            f"{PAGES}/albums/new/", {"title": "Summer", "date": "2026-07-01"}, client=self.zoe
        )
        album = Album.objects.get()
        archive = file(factories.zipped({"c.jpg": factories.jpeg("c"), "d.txt": b"x"}), "more.zip")
        sent = {"file": [file(factories.jpeg("a"), "a.jpg"), file(b"x", "b.jpg"), archive]}
        path = f"{PAGES}/albums/{album.pk}/upload/"
        shown = self.post(path, sent, client=self.zoe)
        self.assertIn("<strong>b.jpg</strong> It is not an image", shown)
        self.assertIn("data-busy", shown)
        factories.processed(album.uploads.get())
        for photo in Photo.objects.all():
            factories.processed(photo)
        shown = self.text(path, client=self.zoe)
        self.assertIn("Pictures made: 2 of 2", shown)
        self.assertIn("<strong>d.txt</strong>", shown)
        self.assertIn("members see it.", shown)
        self.assertIn("2 photos", self.text(f"{PAGES}/albums/{album.pk}/"))

    def test_hiding_an_album_takes_it_from_the_list(self) -> None:
        album = factories.album()
        self.assertIn("Summer", self.text(f"{PAGES}/"))
        self.post(f"{PAGES}/albums/{album.pk}/upload/", {"hidden": "true"}, client=self.zoe)
        self.assertNotIn("Summer", self.text(f"{PAGES}/"))
        self.assertIn("Summer", self.text(f"{PAGES}/", client=self.zoe))

    def test_a_form_with_nothing_in_it_is_answered_in_words(self) -> None:
        album = factories.album()
        shown = self.post(f"{PAGES}/albums/{album.pk}/upload/", client=self.zoe)
        self.assertIn("Choose some files.", shown)
        answer = self.zoe.post(f"{PAGES}/albums/new/", {"title": "", "date": "x"})
        self.assertContains(answer, "This field is required.", status_code=400)


@override_settings(FACES_GROUP_UNKNOWN=True)
class PeoplePageTests(PageCase):
    def setUp(self) -> None:
        super().setUp()
        photo = face_factories.photo(
            factories.album(), *(face_factories.encoding(8, number) for number in range(3))
        )
        self.faces = [face.pk for face in photo.faces.all()]
        self.person, self.other = Person.objects.create(), Person.objects.create(name="Ann")
        for face in self.faces:
            UnknownFace.objects.create(face_id=face, person=self.person, is_clustered=True)

    def decide(self, action: str, **sent: Any) -> str:
        return self.post(f"{PAGES}/people/{self.person.pk}/{action}/", sent, client=self.zoe)

    def test_staff_names_hides_splits_merges_and_offers_a_group(self) -> None:
        self.assertIn("3 faces", self.text(f"{PAGES}/people/", client=self.zoe))
        self.assertIn("<h1>Joe</h1>", self.decide("name", name="Joe"))
        self.assertIn("2 faces", self.decide("split", face=self.faces[:1]))
        self.assertIn("1 face,", self.decide("take-out", face=self.faces[1:2]))
        self.assertIn("Choose some of the group", self.decide("split"))
        self.decide("merge", other=self.other.pk)
        self.assertFalse(Person.objects.filter(pk=self.other.pk).exists())
        self.assertIn("offered", self.decide("offer", member=self.alice.pk))
        self.assertIn("unknown", self.decide("disclaim"))
        self.decide("hide")
        self.assertNotIn("Joe", self.text(f"{PAGES}/people/", client=self.zoe))
        self.assertIn("Joe", self.text(f"{PAGES}/people/?hidden=true", client=self.zoe))


class LoginTests(TestCase):
    def setUp(self) -> None:
        cache.clear()
        user = factories.user("carol")
        user.set_password("right")
        user.save()

    def log_in(self, password: str, **more: str) -> Any:
        return self.client.post(
            "/members/login/", {"username": "carol", "password": password, **more}
        )

    def test_a_member_logs_in_goes_on_where_they_wanted_to_and_out(self) -> None:
        answer = self.client.get(f"{PAGES}/")
        self.assertEqual(answer["Location"], f"/members/login?next={PAGES}/")
        self.assertEqual(self.log_in("right", next=f"{PAGES}/")["Location"], f"{PAGES}/")
        self.assertContains(self.client.get("/"), f'href="{FACES}/you')
        self.assertEqual(self.client.get("/members/logout/").status_code, 405)
        self.client.post("/members/logout/")
        self.assertEqual(self.client.get(f"{PAGES}/").status_code, 302)
        self.assertNotContains(self.client.get("/"), f'href="{FACES}/you')

    def test_a_login_leads_nowhere_else(self) -> None:
        answer = self.log_in("right", next="https://evil.example/")
        self.assertEqual(answer["Location"], f"{FACES}/you")

    @override_settings(FACES_LOGIN_RATE=(2, 86_400))
    def test_passwords_cannot_be_tried_for_long(self) -> None:
        codes = [self.log_in("wrong").status_code for _ in range(3)]
        self.assertEqual(codes, [200, 200, 429])
        self.assertEqual(self.log_in("right").status_code, 429)

    def test_a_login_is_no_consent(self) -> None:
        self.log_in("right")
        self.client.get(f"{FACES}/you/")
        self.assertIsNone(Member.objects.get(user__username="carol").opted_in_at)

    def test_pictures_are_kept_by_the_members_own_browser_alone(self) -> None:
        photo = face_factories.photo(factories.album())
        self.log_in("right")
        answer = self.client.get(f"/photos/{photo.key}/300.jpg")
        self.assertEqual(answer["Cache-Control"], "private, max-age=3600")
