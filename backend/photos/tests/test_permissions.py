"""Permissions: every endpoint and page, by every method, as each kind of user."""

from collections.abc import Mapping
from typing import Any, Final

from django.test import Client, TestCase, override_settings
from django.urls import resolve

from backend.photos import urls
from backend.photos.albums import service
from backend.photos.members import consent
from backend.photos.models import Album, ArchiveUpload, Person, Reference, UnknownFace
from backend.photos.tests import face_factories, factories

API: Final = "/api/v2/photos"
FACES: Final = f"{API}/facedetection"
PAGES: Final = "/members/photos"

ANYBODY, MEMBER, STAFF = "anybody", "member", "staff"

# Path, method, and who gets further than the door. Of a member's own things see `OthersTests`.
ENDPOINTS: Final[list[tuple[str, str, str]]] = [
    (f"{FACES}/matches/", "get", MEMBER),
    (f"{FACES}/matches/{{photo}}/", "put", MEMBER),
    (f"{FACES}/matches/{{photo}}/", "delete", MEMBER),
    (f"{FACES}/matches/{{photo}}/not-me/", "put", MEMBER),
    (f"{FACES}/matches/{{photo}}/not-me/", "delete", MEMBER),
    (f"{FACES}/reference-faces/", "get", MEMBER),
    (f"{FACES}/reference-faces/", "post", MEMBER),
    (f"{FACES}/reference-faces/{{reference}}/", "get", MEMBER),
    (f"{FACES}/reference-faces/{{reference}}/", "delete", MEMBER),
    (f"{FACES}/consent/", "get", MEMBER),
    (f"{FACES}/consent/", "put", MEMBER),
    (f"{FACES}/consent/", "delete", MEMBER),
    (f"{FACES}/status/", "get", MEMBER),
    (f"{FACES}/people/{{person}}/claim/", "put", MEMBER),
    (f"{FACES}/people/{{person}}/claim/", "delete", MEMBER),
    (f"{API}/albums/", "get", MEMBER),
    (f"{API}/albums/", "post", STAFF),
    (f"{API}/albums/{{album}}/", "get", MEMBER),
    (f"{API}/albums/{{album}}/", "patch", STAFF),
    (f"{API}/albums/{{album}}/photos/", "get", MEMBER),
    (f"{API}/albums/{{album}}/photos/", "post", STAFF),
    (f"{API}/albums/{{album}}/archives/", "post", STAFF),
    (f"{API}/archives/{{archive}}/", "get", STAFF),
    (f"{API}/photos/{{photo}}/", "get", MEMBER),
    (f"{API}/photos/{{photo}}/", "patch", STAFF),
    (f"{API}/photos/{{photo}}/like/", "put", MEMBER),
    (f"{API}/photos/{{photo}}/like/", "delete", MEMBER),
    (f"{API}/photos/{{photo}}/members/", "get", STAFF),
    (f"{API}/photos/{{photo}}/members/{{bob}}/", "put", STAFF),
    (f"{API}/photos/{{photo}}/members/{{bob}}/", "delete", STAFF),
    (f"{API}/people/", "get", STAFF),
    (f"{API}/people/{{person}}/", "get", STAFF),
    (f"{API}/people/{{person}}/", "patch", STAFF),
    *[
        (f"{API}/people/{{person}}/{action}/", "post", STAFF)
        for action in ("merge", "split", "take-out", "offer", "confirm", "disclaim")
    ],
]

OF_PAGES: Final[list[tuple[str, str, str]]] = [
    ("/members/login/", "get", ANYBODY),
    ("/members/login/", "post", ANYBODY),
    ("/members/logout/", "post", ANYBODY),
    ("/members/", "get", MEMBER),
    (f"{PAGES}/", "get", MEMBER),
    (f"{PAGES}/albums/new/", "get", STAFF),
    (f"{PAGES}/albums/new/", "post", STAFF),
    (f"{PAGES}/albums/{{album}}/", "get", MEMBER),
    (f"{PAGES}/albums/{{album}}/download/", "get", MEMBER),
    (f"{PAGES}/albums/{{album}}/edit/", "get", STAFF),
    (f"{PAGES}/albums/{{album}}/edit/", "post", STAFF),
    (f"{PAGES}/albums/{{album}}/delete/", "get", STAFF),
    (f"{PAGES}/albums/{{album}}/choose/", "post", STAFF),
    (f"{PAGES}/albums/{{album}}/upload/", "get", STAFF),
    (f"{PAGES}/albums/{{album}}/upload/", "post", STAFF),
    (f"{PAGES}/{{photo}}/", "get", MEMBER),
    (f"{PAGES}/{{photo}}/original/", "get", STAFF),
    *[
        (f"{PAGES}/{{photo}}/{said}/", "post", MEMBER)
        for said in ("like", "unlike", "not-me", "undo-not-me", "me", "not-by-hand")
    ],
    (f"{PAGES}/{{photo}}/tag/", "post", STAFF),
    (f"{PAGES}/{{photo}}/hide/", "post", STAFF),
    (f"{PAGES}/{{photo}}/show/", "post", STAFF),
    (f"{PAGES}/facedetection/you/", "get", MEMBER),
    (f"{PAGES}/facedetection/taken-off/", "get", MEMBER),
    (f"{PAGES}/facedetection/reference-faces/", "get", MEMBER),
    (f"{PAGES}/facedetection/upload/", "get", MEMBER),
    (f"{PAGES}/facedetection/upload/", "post", MEMBER),
    (f"{PAGES}/facedetection/delete/{{reference}}/", "get", MEMBER),
    (f"{PAGES}/facedetection/delete/{{reference}}/", "post", MEMBER),
    (f"{PAGES}/facedetection/which/{{reference}}/", "get", MEMBER),
    (f"{PAGES}/facedetection/which/{{reference}}/", "post", MEMBER),
    (f"{PAGES}/facedetection/which/{{reference}}/0/crop.jpg", "get", MEMBER),
    (f"{PAGES}/facedetection/opt-out/", "get", MEMBER),
    (f"{PAGES}/facedetection/opt-out/", "post", MEMBER),
    (f"{PAGES}/facedetection/claim/{{person}}/", "post", MEMBER),
    (f"{PAGES}/people/", "get", STAFF),
    (f"{PAGES}/people/unmerge/", "post", STAFF),
    (f"{PAGES}/people/faces/{{face}}/crop.jpg", "get", STAFF),
    (f"{PAGES}/people/{{person}}/", "get", STAFF),
    *[
        (f"{PAGES}/people/{{person}}/{action}/", "post", STAFF)
        for action in (
            "name", "hide", "show", "merge", "split", "take-out", "offer", "confirm", "disclaim",
        )
    ],
    # The last, for it takes the photos of the others.
    (f"{PAGES}/albums/{{album}}/delete/", "post", STAFF),
]  # fmt: skip


def logged_in(name: str = "", *, checks_csrf: bool = False) -> Client:
    """A browser: of staff as `zoe`, of nobody without a name."""
    client = Client(enforce_csrf_checks=checks_csrf)
    if name:
        client.force_login(factories.staff() if name == "zoe" else factories.user(name))
    return client


def person_on(album: Album) -> Person:
    """A group of two unknown faces, on a photo of the album."""
    person = Person.objects.create()
    photo = face_factories.photo(album, face_factories.encoding(8), face_factories.encoding(8, 1))
    for face in photo.faces.all():
        UnknownFace.objects.create(face=face, person=person, is_clustered=True)
    return person


@override_settings(FACES_GROUP_UNKNOWN=True)
class MatrixTests(TestCase):
    def setUp(self) -> None:
        self.clients = {name: logged_in(name) for name in ("", "alice", "bob", "zoe")}
        self.album = factories.album()
        self.photo = face_factories.photo(self.album, face_factories.encoding(1))
        self.alice, self.bob = factories.member("alice"), factories.member("bob")
        consent.opt_in(self.alice)
        self.reference = face_factories.reference(self.alice, face_factories.encoding(1, 1))
        self.archive = ArchiveUpload.objects.create(album=self.album, name="a.zip")
        self.person = person_on(self.album)
        face_factories.match_all()
        self.known: Mapping[str, object] = {
            "album": self.album.pk,
            "photo": self.photo.pk,
            "reference": self.reference.pk,
            "archive": self.archive.pk,
            "person": self.person.pk,
            "face": self.person.faces.order_by("pk").values_list("pk", flat=True)[0],
            "bob": self.bob.pk,
        }

    def ask(self, who: str, path: str, method: str) -> Any:
        client = logged_in(who) if "logout" in path else self.clients[who]
        type = "application/json" if method in ("patch", "put", "delete") else None
        sent: dict[str, Any] = {"content_type": type} if type else {}
        return getattr(client, method)(path.format(**self.known), **sent)

    def test_every_endpoint_and_page_is_in_the_matrix(self) -> None:
        named = {pattern.name for pattern in _patterns() if "extraction" not in str(pattern.name)}
        asked = set()
        for path, _, _ in [*ENDPOINTS, *OF_PAGES]:
            asked.add(self.name_of(path.format(**self.known)))
        pictures = {"photo-picture", "reference-picture", "encodings", "source", "photo-source"}
        self.assertEqual(named - asked - pictures - _CALLBACK, set())

    def name_of(self, path: str) -> str | None:
        return resolve(path).url_name

    def test_the_api_admits_permitted_users_and_refuses_others_as_json(self) -> None:
        for path, method, needed in ENDPOINTS:
            for who in ("", "bob", "alice", "zoe"):
                with self.subTest(f"{method} {path}", who=who):
                    self.setUpAgain()
                    answer = self.ask(who, path, method)
                    self.assert_door(answer, who, needed)
                    if answer.status_code >= 400:
                        self.assertEqual(answer["Content-Type"], "application/json")

    def assert_door(self, answer: Any, who: str, needed: str) -> None:
        if not who:
            self.assertEqual(answer.status_code, 401)
            self.assertEqual(answer["WWW-Authenticate"], 'Basic realm="Faces"')
        elif needed == STAFF and who != "zoe":
            self.assertEqual(answer.status_code, 403)
        else:
            # Past the door there may be 400 for an empty body, and 404 for what is another's.
            self.assertIn(answer.status_code, (200, 201, 204, 400, 404, 415))

    def setUpAgain(self) -> None:
        """What the last request took away."""
        service.hide_photos([self.photo], hidden=False)
        Reference.objects.filter(pk=self.reference.pk).update(marked_for_deletion_at=None)

    def test_pages_admit_permitted_users_and_send_others_to_the_login(self) -> None:
        for path, method, needed in OF_PAGES:
            for who in ("", "bob", "alice", "zoe"):
                with self.subTest(f"{method} {path}", who=who):
                    self.setUpAgain()
                    answer = self.ask(who, path, method)
                    code = answer.status_code
                    if needed == ANYBODY:
                        self.assertIn(code, (200, 302))
                    elif not who:
                        login = answer["Location"].partition("?")[0]
                        self.assertEqual((code, login), (302, "/members/login"))
                    elif needed == STAFF and who != "zoe":
                        self.assertEqual(code, 403)
                    else:
                        self.assertIn(code, (200, 302, 400, 404))
                    if code in (200, 400, 403, 404):
                        self.assertIn("default-src 'self';", answer["Content-Security-Policy"])
                        self.assertEqual(answer["Cache-Control"], "private, no-store")

    def test_staff_without_the_permission_is_no_staff_here(self) -> None:
        zoe = factories.staff()
        zoe.is_superuser = False
        zoe.save()
        for path, method, needed in [*ENDPOINTS, *OF_PAGES]:
            if needed == STAFF:
                with self.subTest(f"{method} {path}"):
                    self.assertEqual(self.ask("zoe", path, method).status_code, 403)

    def test_another_members_things_are_answered_as_what_does_not_exist(self) -> None:
        for path, method, _ in [*ENDPOINTS, *OF_PAGES]:
            if "{reference}" in path:
                with self.subTest(f"{method} {path}"):
                    theirs = self.ask("bob", path, method)
                    nobodys = self.ask("bob", path.replace("{reference}", "999999"), method)
                    self.assertEqual((theirs.status_code, nobodys.status_code), (404, 404))
                    if path.startswith("/api"):
                        self.assertEqual(theirs.content, nobodys.content)
        self.reference.refresh_from_db()
        self.assertIsNone(self.reference.marked_for_deletion_at)

    def test_hidden_albums_and_photos_are_unknown_to_members_and_open_to_staff(self) -> None:
        of_photo = [each for each in [*ENDPOINTS, *OF_PAGES] if "{photo}" in each[0]]
        of_album = [each for each in [*ENDPOINTS, *OF_PAGES] if "{album}" in each[0]]
        for level, asked in (("photo", of_photo), ("album", [*of_photo, *of_album])):
            if level == "photo":
                service.hide_photos([self.photo], hidden=True)
            else:
                service.hide_albums([self.album], hidden=True)
            for path, method, needed in asked:
                if needed == MEMBER:
                    with self.subTest(f"{method} {path}"):
                        self.assertEqual(self.ask("alice", path, method).status_code, 404)
                        self.assertNotEqual(self.ask("zoe", path, method).status_code, 404)

    def test_without_grouping_there_are_no_people(self) -> None:
        with override_settings(FACES_GROUP_UNKNOWN=False):
            for path, method, _ in [*ENDPOINTS, *OF_PAGES]:
                if "/people/" in path:
                    with self.subTest(f"{method} {path}"):
                        self.assertEqual(self.ask("zoe", path, method).status_code, 404)

    def test_a_session_alone_changes_nothing_without_its_csrf_token(self) -> None:
        for path, method, _ in [*ENDPOINTS, *OF_PAGES]:
            if method != "get":
                with self.subTest(f"{method} {path}"):
                    client = logged_in("zoe", checks_csrf=True)
                    answer = getattr(client, method)(path.format(**self.known))
                    self.assertEqual(answer.status_code, 403)

    def test_other_methods_are_refused(self) -> None:
        for path, _, needed in [*ENDPOINTS, *OF_PAGES]:
            if needed != ANYBODY:
                with self.subTest(path):
                    self.assertIn(self.ask("zoe", path, "trace").status_code, (404, 405))


_CALLBACK: Final = {"extraction", "callback", "photo-source", "reference-source"}


def _patterns(found: Any = None) -> Any:
    for each in found or urls.urlpatterns:
        if hasattr(each, "url_patterns"):
            yield from _patterns(each.url_patterns)
        else:
            yield each
