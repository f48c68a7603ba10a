"""Albums, photos, references and uploads in the admin, and the pictures it shows."""

from datetime import date
from typing import Any

from django.contrib.auth.models import AnonymousUser, User
from django.core.files.base import ContentFile
from django.db import connection
from django.test import TestCase, override_settings
from django.test.utils import CaptureQueriesContext

from backend.clients.auth import signed_urls
from backend.clients.models import AuditEntry
from backend.photos.access import selectors
from backend.photos.albums import service
from backend.photos.extraction import results
from backend.photos.files import media_links
from backend.photos.members import references
from backend.photos.models import Album, ArchiveUpload, Extraction, Match, Photo, Reference
from backend.photos.tests import factories
from backend.photos.tests.test_extraction import face

_PHOTOS = "/admin/photos/photo/"


@override_settings(FACES_PHOTOS_EXTRACTION="off")
class AdminTests(TestCase):
    def setUp(self) -> None:
        self.client.force_login(factories.staff())
        self.album = factories.album()
        self.photo = factories.processed(
            factories.photo(self.album, factories.jpeg("a"), "first.jpg")
        )

    def act(self, model: str, action: str, *rows: Any) -> Any:
        chosen = [row.pk for row in rows]
        data = {"action": action, "_selected_action": chosen}
        return self.client.post(f"/admin/photos/{model}/", data, follow=True)

    def found(self, query: str) -> list[Any]:
        return list(self.client.get(f"{_PHOTOS}?{query}").context["cl"].queryset)

    def test_the_list_shows_states_faces_matches_likes_and_thumbnails(self) -> None:
        results.record(self.photo, [face(1), face(2)], extractor="test")
        reference = factories.reference(factories.member(), factories.jpeg("b"))
        results.record(reference, [face(1)], extractor="test")
        for found in self.photo.faces.all():
            Match.objects.create(reference=reference, face=found, photo=self.photo, distance=0.1)
        service.like(self.photo, factories.user())
        page = self.client.get(_PHOTOS)
        row = page.context["cl"].queryset.get()
        self.assertEqual((row.faces_count, row.matches_counted, row.likes_counted), (2, 2, 1))
        self.assertContains(page, f"/photos/{self.photo.key}/300.jpg")
        self.assertContains(self.client.get(f"{_PHOTOS}{self.photo.pk}/change/"), "first.jpg")
        references = self.client.get("/admin/photos/reference/")
        self.assertEqual(references.context["cl"].queryset.get().matches_counted, 2)

    def test_lists_ask_no_query_for_each_row_and_read_no_encoding(self) -> None:
        for page in ("album", "photo", "reference", "member", "archiveupload"):
            with self.subTest(page), CaptureQueriesContext(connection) as few:
                self.client.get(f"/admin/photos/{page}/")
            self.more(page)
            with self.subTest(page), CaptureQueriesContext(connection) as many:
                self.assertEqual(self.client.get(f"/admin/photos/{page}/").status_code, 200)
            self.assertLessEqual(len(many), len(few) + 2)
            self.assertFalse([each for each in many if '."encoding"' in each["sql"]])

    def more(self, page: str) -> None:
        """Rows of each kind."""
        for number in range(4):
            album = factories.album(f"{page} {number}")
            factories.processed(factories.photo(album, factories.jpeg(page)))
            factories.reference(factories.member(f"{page}{number}"), factories.jpeg(page))
            factories.archive(album, factories.zipped({}))

    def test_photos_are_found_by_name_album_and_hash_and_filtered_by_state(self) -> None:
        other = factories.photo(factories.album("Winter"), factories.jpeg("b"), "second.jpg")
        results.mark_failed(other)
        for query in ("q=first", "q=Summer", f"q={self.photo.sha256[:9]}"):
            self.assertEqual(self.found(query), [self.photo])
        self.assertEqual(self.found("extraction__exact=failed"), [other])
        self.assertEqual(self.found(f"album__id__exact={self.album.pk}"), [self.photo])

    def test_members_do_not_see_what_staff_hides_and_the_audit_names_the_user(self) -> None:
        self.act("photo", "hide", self.photo)
        self.assertFalse(Photo.objects.visible().exists())
        self.act("photo", "show", self.photo)
        self.act("album", "hide", self.album)
        self.assertFalse(Photo.objects.visible().exists())
        self.act("album", "show", self.album)
        self.assertTrue(Photo.objects.visible().exists())
        self.assertEqual(AuditEntry.objects.filter(actor="admin zoe").count(), 4)

    def test_resubmitted_from_the_list_or_for_a_whole_album(self) -> None:
        for model, row in (("photo", self.photo), ("album", self.album)):
            results.mark_failed(self.photo)
            self.act(model, "resubmit", row)
            self.photo.refresh_from_db()
            self.assertEqual(self.photo.extraction, Extraction.PROCESSING)

    def test_photos_and_albums_are_erased_with_their_files(self) -> None:
        name = self.photo.file.name or ""
        other = factories.photo(self.album, factories.jpeg("b"))
        self.act("photo", "erase", other)
        self.assertEqual(list(Photo.objects.all()), [self.photo])
        self.client.post(f"/admin/photos/album/{self.album.pk}/delete/", {"post": "yes"})
        self.assertFalse(Album.objects.exists() or Photo.objects.exists())
        self.assertFalse(self.photo.file.storage.exists(name))

    def test_an_archive_is_uploaded_and_its_report_read(self) -> None:
        archive = ContentFile(
            factories.zipped({"x.txt": b"x", "b.jpg": factories.jpeg("b")}), "all.zip"
        )
        add = "/admin/photos/archiveupload/add/"
        self.client.post(add, {"album": self.album.pk, "file": archive})
        upload = ArchiveUpload.objects.get()
        self.assertEqual((upload.name, upload.uploaded_by), ("all.zip", factories.staff()))
        factories.processed(upload)
        page = self.client.get(f"/admin/photos/archiveupload/{upload.pk}/change/")
        self.assertContains(page, "x.txt: Its name ends in none of")
        self.assertEqual(self.album.photos.count(), 2)

    def test_an_archive_that_is_refused_leaves_no_row_and_a_message(self) -> None:
        archive = ContentFile(factories.zipped({}), "all.zip")
        with override_settings(FACES_MAX_ARCHIVE_BYTES=3):
            page = self.client.post(
                "/admin/photos/archiveupload/add/",
                {"album": self.album.pk, "file": archive},
                follow=True,
            )
        self.assertContains(page, "It has more than 3 bytes.")
        self.assertFalse(ArchiveUpload.objects.exists())

    def test_staff_sets_the_days_of_membership_and_nothing_else_of_a_member(self) -> None:
        alice = factories.member()
        page = f"/admin/photos/member/{alice.pk}/change/"
        days = {"joined_on": "2024-06-01", "left_on": "2025-06-01"}
        self.client.post(
            page, {**days, "opted_in_at_0": "2020-01-01", "user": factories.staff().pk}
        )
        alice.refresh_from_db()
        self.assertEqual((alice.joined_on, alice.left_on), (date(2024, 6, 1), date(2025, 6, 1)))
        self.assertEqual((alice.user, alice.opted_in_at), (factories.user(), None))
        self.assertEqual(AuditEntry.objects.get(action="change member").actor, "admin zoe")
        refused = self.client.post(page, {**days, "left_on": "2024-05-31"})
        self.assertContains(refused, "They left before they joined.")
        User.objects.filter(username="zoe").update(is_superuser=False)
        self.assertEqual(self.client.post(page, days).status_code, 403)

    def test_members_are_opted_out_and_references_are_shown_without_their_picture(self) -> None:
        reference = factories.processed(
            factories.reference(factories.member(), factories.jpeg("b"))
        )
        page = self.client.get(f"/admin/photos/reference/{reference.pk}/change/")
        self.assertNotContains(page, str(reference.key))
        self.act("member", "opt_out", factories.member())
        self.assertFalse(Reference.objects.exists())

    def test_staff_without_the_permission_sees_and_does_nothing(self) -> None:
        self.client.force_login(User.objects.create(username="yves", is_staff=True))
        self.assertEqual(self.client.get(_PHOTOS).status_code, 403)
        self.assertEqual(self.act("photo", "hide", self.photo).status_code, 403)
        self.assertTrue(Photo.objects.visible().exists())


@override_settings(FACES_PHOTOS_EXTRACTION="off")
class PictureTests(TestCase):
    """Who may open which picture: anonymous, member, other member, staff, and a signed link."""

    def setUp(self) -> None:
        self.album = factories.album()
        self.photo = factories.processed(factories.photo(self.album, factories.jpeg("a")))
        self.reference = factories.processed(
            factories.reference(factories.member(), factories.jpeg("b"))
        )
        self.paths = [
            media_links.photo_path(self.photo, 300),
            media_links.reference_path(self.reference),
        ]

    def statuses(self, user: User | None) -> tuple[int, ...]:
        self.client.logout()
        if user is not None:
            self.client.force_login(user)
        return tuple(self.client.get(path).status_code for path in self.paths)

    def test_members_see_photos_and_only_their_own_references(self) -> None:
        self.assertEqual(self.statuses(None), (404, 404))
        self.assertEqual(self.statuses(factories.user()), (200, 200))
        self.assertEqual(self.statuses(factories.user("bob")), (200, 404))
        self.assertEqual(self.statuses(factories.staff()), (200, 404))
        User.objects.update(is_active=False)
        self.assertEqual(self.statuses(factories.user()), (404, 404))

    def test_what_is_hidden_processing_or_deleted_opens_for_no_member(self) -> None:
        references.mark_for_deletion(self.reference)
        closed: list[dict[str, bool]] = [{"hidden": True}, {"is_processing": True}]
        for state in closed:
            Album.objects.update(**{"hidden": False, "is_processing": False, **state})
            with self.subTest(**state):
                self.assertEqual(self.statuses(factories.user()), (404, 404))
                self.assertEqual(self.statuses(factories.staff()), (200, 404))
                link = media_links.photo_url(self.photo, 300).partition("8282")[2]
                self.assertEqual(self.client.get(link).status_code, 200)
                self.client.logout()
                self.assertEqual(self.client.get(link).status_code, 404)

    def test_nginx_sends_the_stored_jpeg_and_the_browser_runs_nothing_of_it(self) -> None:
        self.client.force_login(factories.user())
        answer = self.client.get(self.paths[0])
        self.assertIn(self.photo.thumbnail_name(300), answer["X-Accel-Redirect"])
        self.assertEqual(answer["Content-Type"], "image/jpeg")
        self.assertIn("sandbox", answer["Content-Security-Policy"])
        self.assertEqual(self.client.post(self.paths[0]).status_code, 405)
        self.assertEqual(self.client.get(f"/photos/{self.photo.key}/301.jpg").status_code, 404)

    def test_a_signed_link_opens_one_picture_and_a_changed_one_none(self) -> None:
        for url in (media_links.photo_url(self.photo), media_links.reference_url(self.reference)):
            path, _, query = url.partition("8282")[2].partition("?")
            self.assertEqual(self.client.get(f"{path}?{query}").status_code, 200)
            self.assertEqual(self.client.get(f"{path}?{query}0").status_code, 404)
            self.assertEqual(self.client.get(f"{self.paths[0]}?{query}").status_code, 404)
        self.assertTrue(signed_urls.is_signed({"signature": ""}))

    def test_an_anonymous_user_sees_no_picture(self) -> None:
        self.assertIsNone(selectors.photo_picture(self.photo.key, None, viewer=AnonymousUser()))
