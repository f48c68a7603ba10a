"""The API of the contract, section 4, and what is beyond it."""

import base64
from datetime import date, timedelta
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client, TestCase, override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from backend.analysis import services as analysis
from backend.common.http import admission
from backend.photos.extraction import results
from backend.photos.members import consent
from backend.photos.models import Album, Member, Person, Photo, Reference, UnknownFace
from backend.photos.tests import face_factories, factories
from tests.support import samples

API = "/api/v2/photos"
FACES = f"{API}/facedetection"
MATCHES = f"{FACES}/matches/"
REFERENCES = f"{FACES}/reference-faces/"

without_faces = override_settings(FACES_PHOTOS_EXTRACTION="off")


def jpeg(content: bytes | None = None, name: str = "me.jpg") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content or samples.no_face(), "image/jpeg")


def basic(name: str, password: str) -> dict[str, str]:
    sent = base64.b64encode(f"{name}:{password}".encode()).decode()
    return {"authorization": f"Basic {sent}"}


class ApiCase(TestCase):
    def setUp(self) -> None:
        cache.clear()
        self.alice = factories.member("alice")
        self.client.force_login(factories.user("alice"))
        self.zoe = Client()
        self.zoe.force_login(factories.staff())

    def get(self, path: str, **query: Any) -> Any:
        answer = self.client.get(path, query)
        self.assertEqual(answer.status_code, 200, answer.content)
        return answer.json()

    def matched(self, count: int = 1, *, album: Album | None = None) -> list[Photo]:
        """Photos of Alice's, and her reference."""
        consent.opt_in(self.alice)
        made = album or factories.album()
        photos = [
            face_factories.photo(made, face_factories.encoding(1, number))
            for number in range(count)
        ]
        if not Reference.objects.exists():
            face_factories.reference(self.alice, face_factories.encoding(1, 99))
        face_factories.match_all()
        return photos

    def mine(self) -> list[int]:
        return [each["pk"] for each in self.get(MATCHES)["results"]]


class MatchesTests(ApiCase):
    def test_they_are_the_members_own_newest_album_first(self) -> None:
        old = self.matched(2, album=factories.album("Old", day=date(2025, 1, 1)))
        new = self.matched(2, album=factories.album("New", day=date(2026, 1, 1)))
        body = self.get(MATCHES)
        found = [each["pk"] for each in body["results"]]
        self.assertEqual(found, [photo.pk for photo in [*new, *old]])
        self.assertEqual((body["count"], body["next"], body["previous"]), (4, None, None))
        first = body["results"][0]
        self.assertEqual(first["album"]["title"], "New")
        self.assertEqual((first["num_likes"], first["liked"]), (0, False))
        bob = Client()
        bob.force_login(factories.user("bob"))
        self.assertEqual(bob.get(MATCHES).json()["results"], [])

    def test_the_path_answers_with_and_without_its_slash(self) -> None:
        self.assertEqual(self.get(MATCHES), self.get(MATCHES.rstrip("/")))

    def test_pages_by_cursor_give_each_once_and_lead_back(self) -> None:
        day = date(2026, 1, 1)
        for number in range(3):
            self.matched(
                3, album=factories.album(str(number), day=day - timedelta(days=number // 2))
            )
        every, seen, address, last = self.mine(), list[int](), f"{MATCHES}?limit=2", ""
        while address:
            page = self.get(address)
            seen += [each["pk"] for each in page["results"]]
            last, address = address, page["next"]
        self.assertEqual(seen, every)
        back, address = list[int](), self.get(last)["previous"]
        while address:
            page = self.get(address)
            back = [each["pk"] for each in page["results"]] + back
            address = page["previous"]
        self.assertEqual(back, every[:-1])

    def test_pages_by_offset_work_as_they_did(self) -> None:
        self.matched(5)
        page = self.get(MATCHES, limit=2, offset=2)
        self.assertEqual([each["pk"] for each in page["results"]], self.mine()[2:4])

    def test_a_cursor_of_another_list_is_none_of_this(self) -> None:
        self.matched(2)
        other = self.get(MATCHES, limit=1)["next"].partition("?")[2]
        for path in (f"{API}/albums/", REFERENCES):
            self.assertEqual(self.client.get(f"{path}?{other}").status_code, 400)

    def test_what_is_no_page_is_refused(self) -> None:
        for query in ({"limit": "0"}, {"limit": "x"}, {"offset": "-1"}, {"cursor": "changed"}):
            with self.subTest(query):
                answer = self.client.get(MATCHES, query)
                self.assertEqual(answer.status_code, 400)
                self.assertEqual(list(answer.json()), list(query))

    def test_queries_do_not_grow_with_the_photos(self) -> None:
        self.matched(2)
        self.get(MATCHES)
        with CaptureQueriesContext(connection) as few:
            self.get(MATCHES)
        self.matched(6)
        with self.assertNumQueries(len(few)):
            self.assertEqual(self.get(MATCHES)["count"], 8)

    def test_only_what_was_taken_while_they_were_a_member(self) -> None:
        days = (date(2024, 1, 1), date(2025, 1, 1), date(2026, 1, 1))
        photos = [self.matched(1, album=factories.album(str(day), day=day))[0] for day in days]
        bounds = {"joined_on": date(2024, 6, 1), "left_on": date(2025, 6, 1)}
        Member.objects.filter(pk=self.alice.pk).update(**bounds)
        self.assertEqual(self.mine(), [photos[1].pk])

    def test_hidden_and_unfinished_albums_hidden_photos_and_marked_references_hide(self) -> None:
        (photo,) = self.matched()
        album = Album.objects.get()
        for model, pk, change in (
            (Photo, photo.pk, {"hidden": True}),
            (Album, album.pk, {"hidden": True}),
            (Album, album.pk, {"is_processing": True}),
            (Reference, Reference.objects.get().pk, {"marked_for_deletion_at": timezone.now()}),
        ):
            with self.subTest(change):
                rows: Any = model._default_manager.filter(pk=pk)
                before = rows.values(*change).get()
                rows.update(**change)
                self.assertEqual(self.mine(), [])
                rows.update(**before)
                self.assertEqual(self.mine(), [photo.pk])

    def test_not_me_removes_a_photo_and_can_be_taken_back(self) -> None:
        (photo,) = self.matched()
        path = f"{MATCHES}{photo.pk}/not-me/"
        for _ in range(2):
            self.assertEqual(self.client.put(path).status_code, 204)
            self.assertEqual(self.mine(), [])
        face_factories.reference(self.alice, face_factories.encoding(1, 50))
        face_factories.match_all()
        self.assertEqual(self.mine(), [])
        self.assertEqual(self.client.delete(path).status_code, 204)
        self.assertEqual(self.mine(), [photo.pk])

    def test_members_add_themselves_by_hand(self) -> None:
        photo = face_factories.photo(factories.album())
        for method, mine in (("put", [photo.pk]), ("delete", [])):
            answer = getattr(self.client, method)(f"{MATCHES}{photo.pk}/")
            self.assertEqual((answer.status_code, self.mine()), (204, mine))

    def test_the_address_of_a_picture_opens_without_a_login(self) -> None:
        self.matched()
        for url in self.get(MATCHES)["results"][0]["file"].values():
            path = url[len("http://localhost:8282") :]
            self.assertEqual(Client().get(path).status_code, 200)
            self.assertEqual(Client().get(urlsplit(path).path).status_code, 404)


@without_faces
class ReferenceTests(ApiCase):
    def test_one_is_uploaded_listed_and_marked_for_deletion(self) -> None:
        answer = self.client.post(REFERENCES, {"file": jpeg()})
        self.assertEqual(answer.status_code, 201)
        made = answer.json()
        self.assertEqual((made["status"], made["reason"], made["file"]), ("processing", None, None))
        factories.processed(Reference.objects.get())
        (listed,) = self.get(REFERENCES)["results"]
        self.assertEqual(listed["pk"], made["pk"])
        path = listed["file"][len("http://localhost:8282") :]
        self.assertEqual(Client().get(path).status_code, 200)
        self.assertEqual(self.get(f"{REFERENCES}{made['pk']}/")["created_at"], made["created_at"])
        self.assertEqual(self.client.delete(f"{REFERENCES}{made['pk']}/").status_code, 204)
        self.assertEqual(self.client.delete(f"{REFERENCES}{made['pk']}/").status_code, 404)
        self.assertEqual(self.get(REFERENCES)["results"], [])
        self.assertIsNotNone(Reference.objects.get().marked_for_deletion_at)

    def test_it_is_counted_for_its_member(self) -> None:
        keys = []
        with mock.patch.object(
            analysis, "check_image", lambda _: keys.append(admission.caller_key.get())
        ):
            for path in (REFERENCES, "/members/photos/facedetection/upload/"):
                self.client.post(path, {"file": jpeg(factories.jpeg(path))})
        self.assertEqual(keys, [f"member={self.alice.user_id}"] * 2)

    def test_a_rejected_one_says_why(self) -> None:
        reference = factories.reference(self.alice, factories.jpeg("a"))
        results.record(reference, [], extractor="test")
        (listed,) = self.get(REFERENCES)["results"]
        told = (listed["status"], listed["reason"])
        self.assertEqual(told, ("rejected", "There is no face in this picture."))

    def test_what_cannot_be_taken_in_is_refused_by_field(self) -> None:
        for sent in ({}, {"file": jpeg(b"no image")}, {"file": [jpeg(), jpeg(name="b.jpg")]}):
            with self.subTest(sent):
                answer = self.client.post(REFERENCES, sent)
                self.assertEqual((answer.status_code, list(answer.json())), (400, ["file"]))
        for number in range(5):
            factories.reference(self.alice, factories.jpeg(str(number)))
        answer = self.client.post(REFERENCES, {"file": jpeg()})
        told = "You can have at most 5 reference faces."
        self.assertEqual((answer.status_code, answer.json()), (400, {"file": [told]}))

    def test_consent_is_given_and_taken_back(self) -> None:
        path = f"{FACES}/consent/"
        self.assertFalse(self.get(path)["takes_part"])
        self.assertTrue(self.client.put(path).json()["takes_part"])
        factories.reference(factories.member("alice"), factories.jpeg("a"))
        self.assertEqual(self.client.delete(path).status_code, 204)
        self.assertFalse(self.get(path)["takes_part"])
        self.assertIsNotNone(self.get(path)["opted_out_at"])
        self.assertFalse(Reference.objects.exists())

    def test_the_status_says_the_contracts_sentence_while_one_is_processed(self) -> None:
        path = f"{FACES}/status/"
        idle = self.get(path)
        self.assertEqual((idle["processing"], idle["message"]), (False, None))
        reference = factories.reference(self.alice, factories.jpeg("a"))
        busy = self.get(path)
        told = "Your reference has not been processed yet"
        self.assertEqual((busy["processing"], busy["message"]), (True, told))
        self.assertNotEqual(busy["version"], idle["version"])
        results.record(reference, [], extractor="test")
        self.assertEqual(self.get(path)["references"]["rejected"], 1)

    def test_a_status_that_has_not_changed_is_answered_304(self) -> None:
        album = factories.album()
        for client, path in (
            (self.client, f"{FACES}/status/"),
            (self.zoe, f"{API}/albums/{album.pk}/"),
        ):
            with self.subTest(path):
                first = client.get(path)
                self.assertIn("no-cache", first["Cache-Control"])
                known = {"if-none-match": first["ETag"]}
                self.assertEqual(client.get(path, headers=known).status_code, 304)
                face_factories.reference(self.alice, face_factories.encoding(1))
                face_factories.photo(album, face_factories.encoding(1))
                self.assertEqual(client.get(path, headers=known).status_code, 200)


@without_faces
class AlbumTests(ApiCase):
    def make(self, **sent: Any) -> Any:
        body = {"title": "Summer", "date": "2026-07-01", **sent}
        return self.zoe.post(f"{API}/albums/", body, content_type="application/json")

    def test_staff_makes_and_changes_albums(self) -> None:
        album = self.make().json()
        self.assertEqual((album["title"], album["hidden"]), ("Summer", False))
        path = f"{API}/albums/{album['pk']}/"
        changed = self.zoe.patch(path, {"hidden": True}, content_type="application/json").json()
        self.assertEqual((changed["title"], changed["hidden"]), ("Summer", True))
        self.assertEqual(self.client.get(path).status_code, 404)
        for wrong in ({"title": ""}, {"date": "never"}, {"date": 5}, {"title": "x" * 201}):
            with self.subTest(wrong):
                answer = self.make(**wrong)
                self.assertEqual((answer.status_code, list(answer.json())), (400, list(wrong)))
        self.assertEqual(self.make(title="\ud800").json()["title"], "?")
        odd = self.zoe.post(f"{API}/albums/", "[1]", content_type="application/json")
        self.assertEqual(odd.status_code, 400)

    def test_what_is_no_album_is_refused_by_field(self) -> None:
        good = {"title": "Autumn", "date": "2026-10-01"}
        for name, value in (("date", True), ("date", 5), ("date", "0000-00-00"), ("title", "a\0")):
            sent = {**good, name: value}
            answer = self.zoe.post(f"{API}/albums/", sent, content_type="application/json")
            self.assertEqual((answer.status_code, [*answer.json()]), (400, [name]), value)

    def test_many_files_at_once_with_a_report(self) -> None:
        album = factories.album()
        path = f"{API}/albums/{album.pk}/photos/"
        sent = {"file": [jpeg(factories.jpeg("a"), "a.jpg"), jpeg(b"x", "b.jpg")]}
        body = self.zoe.post(path, sent).json()
        self.assertEqual([each["name"] for each in body["added"]], ["a.jpg"])
        (skipped,) = body["skipped"]
        self.assertEqual((skipped["name"], skipped["reason"][-1]), ("b.jpg", "."))
        self.assertEqual(self.client.get(path).status_code, 404)  # hidden until it is complete
        factories.processed(Photo.objects.get())
        self.assertEqual(self.get(path)["count"], 1)

    def test_an_archive_with_its_progress_and_report(self) -> None:
        album = factories.album()
        content = factories.zipped({"a.jpg": factories.jpeg("a"), "b.txt": b"x"})
        file = SimpleUploadedFile("a.zip", content, "application/zip")
        answer = self.zoe.post(f"{API}/albums/{album.pk}/archives/", {"file": file})
        self.assertEqual(answer.status_code, 202)
        path = f"{API}/archives/{answer.json()['pk']}/"
        self.assertEqual(self.zoe.get(path).json()["status"], "queued")
        self.assertTrue(self.zoe.get(f"{API}/albums/{album.pk}/").json()["status"]["processing"])
        factories.processed(album.uploads.get())
        told = self.zoe.get(path).json()
        self.assertEqual((told["status"], told["photos_added"]), ("done", 1))
        self.assertEqual(told["skipped"][0]["name"], "b.txt")

    def test_photos_are_liked_hidden_and_shown_with_their_faces(self) -> None:
        photo = face_factories.photo(factories.album(), face_factories.encoding(1))
        path = f"{API}/photos/{photo.pk}/"
        for _ in range(2):
            self.client.put(f"{path}like/")
        told = self.get(path)
        self.assertEqual((told["num_likes"], told["liked"]), (1, True))
        self.assertEqual(len(told["faces"]), 1)
        self.assertFalse(told["is_me"])
        self.client.delete(f"{path}like/")
        self.assertEqual(self.get(path)["num_likes"], 0)
        hidden = self.zoe.patch(path, {"hidden": True}, content_type="application/json")
        self.assertEqual(hidden.json(), {"pk": photo.pk, "hidden": True})
        self.assertEqual(self.client.get(path).status_code, 404)

    def test_staff_tags_members_on_a_photo(self) -> None:
        (photo,) = self.matched()
        path = f"{API}/photos/{photo.pk}/members/"
        (there,) = self.zoe.get(path).json()["results"]
        self.assertEqual((there["member"], there["how"]), (self.alice.pk, "matched"))
        bob = factories.member("bob")
        self.assertEqual(self.zoe.put(f"{path}{bob.pk}/").status_code, 204)
        self.assertEqual(len(self.zoe.get(path).json()["results"]), 2)
        self.assertEqual(self.zoe.delete(f"{path}{self.alice.pk}/").status_code, 204)
        self.assertEqual(self.mine(), [])


@override_settings(FACES_GROUP_UNKNOWN=True)
class PeopleTests(ApiCase):
    def setUp(self) -> None:
        super().setUp()
        photo = face_factories.photo(
            factories.album(), *(face_factories.encoding(8, number) for number in range(4))
        )
        self.faces = [face.pk for face in photo.faces.all()]
        consent.opt_in(self.alice)
        self.people = [Person.objects.create(), Person.objects.create()]
        for number, face in enumerate(self.faces):
            person = self.people[number % 2]
            UnknownFace.objects.create(face_id=face, person=person, is_clustered=True)

    def act(self, person: Person, action: str, **sent: Any) -> Any:
        path = f"{API}/people/{person.pk}/{action}/".replace("//", "/")
        return self.zoe.post(path, sent, content_type="application/json")

    def test_groups_are_listed_named_hidden_merged_and_split(self) -> None:
        one, other = self.people
        path = f"{API}/people/{one.pk}/"
        changed = {"name": "Joe", "hidden": False}
        told = self.zoe.patch(path, changed, content_type="application/json").json()
        self.assertEqual((told["name"], told["faces_count"]), ("Joe", 2))
        self.assertEqual(self.zoe.get(f"{API}/people/").json()["count"], 2)
        self.assertEqual(self.act(one, "merge", other=other.pk).json()["faces_count"], 4)
        new = self.act(one, "split", faces=self.faces[:1]).json()
        self.assertNotEqual(new["pk"], one.pk)
        self.assertEqual(len(self.zoe.get(path).json()["faces"]), 3)
        self.assertEqual(self.act(one, "take-out", face=self.faces[1]).status_code, 200)
        for action, sent in (
            ("merge", {}), ("merge", {"other": one.pk}), ("split", {"faces": "all"}),
            ("take-out", {"face": 0}), ("confirm", {}),
        ):  # fmt: skip
            with self.subTest(action, sent=sent):
                self.assertEqual(self.act(one, action, **sent).status_code, 400)

    def test_a_claim_counts_when_staff_confirms_it(self) -> None:
        person = self.people[0]
        path = f"{FACES}/people/{person.pk}/claim/"
        self.assertEqual(self.client.put(path).json()["status"], "agreed")
        self.assertEqual(self.mine(), [])
        self.assertEqual(self.act(person, "confirm").json()["status"], "claimed")
        self.assertEqual(len(self.mine()), 1)
        self.assertEqual(self.client.delete(path).status_code, 204)
        self.assertEqual(self.mine(), [])

    def test_an_offer_counts_when_the_member_agrees(self) -> None:
        person = self.people[0]
        offered = self.act(person, "offer", member=self.alice.pk).json()
        self.assertEqual(offered["status"], "offered")
        answer = self.client.put(f"{FACES}/people/{person.pk}/claim/")
        self.assertEqual(answer.json()["status"], "claimed")

    def test_a_member_without_consent_cannot_claim_a_group(self) -> None:
        consent.opt_out(self.alice)
        answer = self.client.put(f"{FACES}/people/{self.people[0].pk}/claim/")
        self.assertEqual(answer.status_code, 404)

    def test_a_group_without_visible_photos_is_404(self) -> None:
        Album.objects.update(hidden=True)
        answer = self.client.put(f"{FACES}/people/{self.people[0].pk}/claim/")
        self.assertEqual(answer.status_code, 404)


class AuthenticationTests(ApiCase):
    def setUp(self) -> None:
        super().setUp()
        User.objects.create_user("carol", password="right")

    def test_scripts_come_with_name_and_password(self) -> None:
        answer = Client().get(MATCHES, headers=basic("carol", "right"))
        self.assertEqual(answer.status_code, 200)
        # Or data minimisation would take who only comes so for gone.
        self.assertIsNotNone(User.objects.get(username="carol").last_login)
        sent = Client(enforce_csrf_checks=True).put(
            f"{FACES}/consent/", headers=basic("carol", "right")
        )
        self.assertEqual(sent.status_code, 200)

    @override_settings(FACES_LOGIN_RATE=(3, 86_400))
    def test_wrong_passwords_are_soon_refused_unseen_and_good_ones_never_count(self) -> None:
        for _ in range(6):
            answer = Client().get(MATCHES, headers=basic("carol", "right"))
            self.assertEqual(answer.status_code, 200)
        codes = [
            Client().get(MATCHES, headers=basic("carol", "wrong")).status_code for _ in range(6)
        ]
        self.assertEqual((codes[0], codes[-1]), (401, 429))
        answer = Client().get(MATCHES, headers=basic("carol", "right"))
        self.assertEqual(answer.status_code, 429)
        self.assertIn("Retry-After", answer.headers)

    @override_settings(ENVIRONMENT="production")
    def test_in_production_no_password_is_taken_without_tls(self) -> None:
        for url, code in (("http://faces.example", 401), ("https://faces.example", 200)):
            with override_settings(SERVICE_URL=url):
                answer = Client().get(MATCHES, headers=basic("carol", "right"))
                self.assertEqual(answer.status_code, code)

    def test_a_page_that_asks_opens_no_window_for_a_password(self) -> None:
        answer = Client().get(MATCHES, headers={"sec-fetch-site": "same-origin"})
        self.assertEqual((answer.status_code, answer["WWW-Authenticate"]), (401, "Session"))

    @override_settings(FACES_REQUEST_RATE=(2, 86_400))
    def test_requests_are_counted_for_the_member(self) -> None:
        codes = [self.client.get(MATCHES).status_code for _ in range(3)]
        self.assertEqual(codes, [200, 200, 429])
