"""Upload preflight: what nginx learns of a body before it reads it."""

from collections.abc import Mapping
from typing import Any

from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import TestCase, override_settings

from backend.clients import erasure
from backend.clients.models import Scope
from backend.clients.tests import factories

_MANY_BYTES = 5_000_000


class GateTests(TestCase):
    def setUp(self) -> None:
        cache.clear()

    def ask(
        self,
        path: str,
        headers: Mapping[str, str] | None = None,
        *,
        length: int | None = _MANY_BYTES,
    ) -> Any:
        upload = {"x_original_uri": path, "x_original_method": "POST", **(headers or {})}
        if length is not None:
            upload["x_original_length"] = str(length)
        return self.client.get("/_upload_preflight", headers=upload)

    def assert_refused(self, answer: Any, status: int) -> Any:
        self.assertEqual(answer.status_code, status)
        self.assertTrue(answer["X-Faces-Refusal"].isascii())
        return answer


@override_settings(FACES_REQUIRE_API_KEY=True)
class KeyTests(GateTests):
    def test_a_key_with_the_scope_may_send(self) -> None:
        self.assertEqual(self.ask("/image/", factories.headers("alice")).status_code, 204)

    def test_without_a_key_the_answer_is_the_views_own(self) -> None:
        answer = self.assert_refused(self.ask("/image/"), 401)
        own = self.client.post("/image/")
        self.assertEqual(answer["X-Faces-Refusal"].encode(), own.content.replace(b'":"', b'": "'))
        self.assertEqual(answer["WWW-Authenticate"], own["WWW-Authenticate"])

    def test_a_wrong_or_revoked_key_or_one_for_something_else_is_refused(self) -> None:
        row, key = factories.key_of("alice")
        row.revoked = True
        row.save()
        self.assert_refused(self.ask("/image/", {"x_api_key": key}), 401)
        self.assert_refused(self.ask("/image/", {"x_api_key": "wrong"}), 401)
        self.assert_refused(self.ask("/image/", factories.headers("bob", (Scope.READ,))), 403)

    def test_an_unknown_path_is_404(self) -> None:
        self.assert_refused(self.ask("/nothing/"), 404)

    @override_settings(FACES_UPLOAD_RATE=(1, 3600))
    def test_a_preflight_reads_a_limit_and_does_not_count(self) -> None:
        headers = factories.headers("alice")
        for _ in range(3):
            self.assertEqual(self.ask("/image/", headers).status_code, 204)
        self.client.post("/image/", headers=headers)
        answer = self.assert_refused(self.ask("/image/", headers), 429)
        self.assertTrue(0 < int(answer["Retry-After"]) <= 3600)

    @override_settings(FACES_UPLOAD_BYTES_RATE=(_MANY_BYTES, 3600))
    def test_bytes_are_those_of_the_body_asked_about(self) -> None:
        headers = factories.headers("alice")
        self.assertEqual(self.ask("/image/", headers).status_code, 204)
        self.assert_refused(self.ask("/image/", headers, length=_MANY_BYTES + 1), 429)

    @override_settings(FACES_REQUEST_RATE=(2, 3600))
    def test_a_refusal_is_counted_once(self) -> None:
        self.assertEqual([self.ask("/image/").status_code for _ in range(3)], [401, 401, 429])

    def test_uploads_are_refused_while_the_client_is_erased(self) -> None:
        row, key = factories.key_of("alice")
        erasure.request(row.client_id, actor="test")
        self.assertIn(
            "Retry-After", self.assert_refused(self.ask("/image/", {"x_api_key": key}), 503)
        )


class PathTests(GateTests):
    def test_in_open_mode_images_need_no_key(self) -> None:
        self.assertEqual(self.ask("/image/").status_code, 204)
        self.assertEqual(self.ask("/image/", length=None).status_code, 204)

    def test_a_page_takes_files_with_a_session_alone(self) -> None:
        self.assert_refused(self.ask("/members/photos/facedetection/upload/"), 403)
        self.client.force_login(User.objects.create(username="alice"))
        answer = self.ask("/members/photos/facedetection/upload/")
        self.assertEqual(answer.status_code, 204)

    def test_a_callback_needs_no_key_and_has_a_bound_of_its_own(self) -> None:
        path = "/api/facedetection/encodings/photo/1/"
        self.assertEqual(self.ask(path, length=4 << 20).status_code, 204)
        self.assert_refused(self.ask(path, length=(4 << 20) + 1), 413)
        self.assert_refused(self.ask(path, length=None), 411)


@override_settings(FACES_MAX_UPLOAD_BYTES=1000, FACES_MAX_ARCHIVE_BYTES=_MANY_BYTES)
class ArchiveTests(GateTests):
    path = "/api/v2/photos/albums/1/archives/"

    def test_staff_may_send_an_archive_larger_than_any_image(self) -> None:
        self.client.force_login(User.objects.create_superuser("zoe"))
        self.assertEqual(self.ask(self.path).status_code, 204)
        self.assert_refused(self.ask("/api/v2/photos/albums/1/photos/"), 413)

    def test_also_by_name_and_password(self) -> None:
        User.objects.create_superuser("zoe", password="sesame")
        basic = "Basic em9lOnNlc2FtZQ=="
        self.assertEqual(self.ask(self.path, {"authorization": basic}).status_code, 204)
        wrong = self.assert_refused(self.ask(self.path, {"authorization": "Basic em9lOm5v"}), 401)
        self.assertIn("Basic", wrong["WWW-Authenticate"])

    def test_one_too_large_or_of_unknown_length_is_refused(self) -> None:
        self.client.force_login(User.objects.create_superuser("zoe"))
        self.assert_refused(self.ask(self.path, length=2 * _MANY_BYTES), 413)
        self.assert_refused(self.ask(self.path, length=None), 411)

    def test_other_members_and_clients_may_not(self) -> None:
        self.assert_refused(self.ask(self.path), 401)
        self.assert_refused(self.ask(self.path, factories.headers("alice")), 401)
        self.client.force_login(User.objects.create(username="alice"))
        self.assert_refused(self.ask(self.path), 403)
