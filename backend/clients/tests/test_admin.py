"""The admin: its door, clients, keys, the audit trail."""

import os
import re
import subprocess
import sys
from datetime import timedelta
from ipaddress import ip_network
from itertools import product
from typing import Any, ClassVar

from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.contrib.messages import get_messages
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.test import Client as Browser
from django.test import SimpleTestCase, TestCase, override_settings
from django.utils import timezone

from backend.clients import audit
from backend.clients import keys as services
from backend.clients.auth import authentication
from backend.clients.models import ApiKey, AuditEntry, Client
from wire.environment import ROOT

_PASSWORD = "correct horse battery"


class AdminCase(TestCase):
    user: ClassVar[User]
    alice: ClassVar[Client]
    bob: ClassVar[Client]

    @classmethod
    def setUpTestData(cls) -> None:
        cls.user = User.objects.create_superuser("olga", password=_PASSWORD)
        cls.alice = Client.objects.create(name="alice")
        cls.bob = Client.objects.create(name="bob")

    def setUp(self) -> None:
        cache.clear()
        self.client.force_login(self.user)

    def key_of(self, client: Client, *scopes: str, **options: Any) -> ApiKey:
        made, _ = services.create_key(
            client, name=client.name, scopes=scopes or ["read"], actor="test", **options
        )
        return made

    def act(self, model: str, action: str, *rows: Any, **more: str) -> Any:
        data = {"action": action, "_selected_action": [row.pk for row in rows], **more}
        return self.client.post(f"/admin/{model}/", data, follow=True)

    def noted(self) -> list[tuple[str, str]]:
        rows = AuditEntry.objects.filter(actor="admin olga").order_by("at", "pk")
        return list(rows.values_list("action", "subject"))


class DoorTests(AdminCase):
    def log_in(self, name: str = "olga", password: str = _PASSWORD, **headers: str) -> Any:
        data = {"username": name, "password": password}
        return Browser().post("/admin/login/", data, headers=headers)

    def test_the_admin_needs_a_login(self) -> None:
        for path in ("", "clients/client/", "submissions/submission/", "nowhere/"):
            answer = Browser().get(f"/admin/{path}")
            self.assertEqual((answer.status_code, answer["Location"][:13]), (302, "/admin/login/"))

    def test_logging_in_is_noted(self) -> None:
        self.assertEqual(self.log_in().status_code, 302)
        self.assertEqual(self.noted(), [("log in", "admin")])

    def test_only_networks_of_the_setting_reach_the_pages_of_staff(self) -> None:
        inside = ["10.1.2.3", "::ffff:10.1.2.3", "2001:db8::7"]
        outside = ["192.0.2.1", "2001:db8:1::7", "nonsense"]
        networks = [ip_network("10.0.0.0/8"), ip_network("2001:db8::/48")]
        paths = ("/admin", "/admin/", "/admin/login/", "/admin/django_rq/dashboard/", "/dashboard")
        with self.settings(FACES_ADMIN_NETWORKS=networks):
            for path, address in product(paths, outside):
                answer = self.client.get(path, headers={"x-real-ip": address})
                self.assertEqual(answer.status_code, 403, (path, address))
            for path, address in product(paths, inside):
                answer = self.client.get(path, headers={"x-real-ip": address})
                self.assertIn(answer.status_code, (200, 302), (path, address))
            answer = self.client.get("/healthcheck", headers={"x-real-ip": "192.0.2.1"})
            self.assertEqual(answer.status_code, 200)
        answer = self.client.get("/admin/", headers={"x-real-ip": "192.0.2.1"})
        self.assertEqual(answer.status_code, 200)

    @override_settings(FACES_LOGIN_RATE=(3, 3600))
    def test_login_attempts_are_limited(self) -> None:
        tried = [self.log_in(password="wrong", x_real_ip=f"10.0.0.{last}") for last in range(4)]
        self.assertEqual([answer.status_code for answer in tried], [200, 200, 200, 429])
        self.assertTrue(0 < int(tried[-1]["Retry-After"]) <= 3600)
        # From one address for other names, too.
        tried = [self.log_in(f"user {n}", "wrong", x_real_ip="10.0.0.99") for n in range(4)]
        self.assertEqual(tried[-1].status_code, 429)

    def test_a_form_without_its_token_is_refused(self) -> None:
        browser = Browser(enforce_csrf_checks=True)
        browser.force_login(self.user)
        answer = browser.post("/admin/clients/client/add/", {"name": "mallory"})
        self.assertEqual(answer.status_code, 403)
        self.assertFalse(Client.objects.filter(name="mallory").exists())

    def test_every_page_is_kept_out_of_frames_caches_and_foreign_scripts(self) -> None:
        pages = [Browser().get("/admin/login/"), self.client.get("/admin/")]
        for answer in (*pages, self.client.get("/admin/clients/apikey/")):
            self.assertEqual(answer["X-Frame-Options"], "DENY")
            self.assertIn("default-src 'none'", answer["Content-Security-Policy"])
            self.assertIn("no-store", answer["Cache-Control"])
            html = answer.content.decode()
            self.assertNotRegex(html, r"<script(?![^>]*\bsrc=)|\son\w+=|\sstyle=|<style")
            self.assertNotRegex(html, r"(?:src|href)=[\"']?https?://")

    def test_the_cookie_is_for_the_server_alone(self) -> None:
        cookie = self.log_in().cookies["faces_session"]
        self.assertTrue(cookie["httponly"])
        self.assertEqual(cookie["samesite"], "Lax")

    def test_the_api_answers_in_json_all_the_same_and_sets_no_cookie(self) -> None:
        answer = self.client.get("/nowhere")
        self.assertEqual((answer.status_code, answer.json()), (404, {"detail": "Not found."}))
        answer = Browser().post("/image/")
        self.assertEqual(answer.status_code, 400)
        self.assertFalse(answer.cookies)
        self.assertNotIn("Cookie", answer.get("Vary", ""))

    def test_a_session_gives_no_access_to_the_api(self) -> None:
        with override_settings(FACES_REQUIRE_API_KEY=True):
            self.assertEqual(self.client.get("/metrics").status_code, 401)

    def test_every_model_has_a_page(self) -> None:
        html = self.client.get("/admin/").content.decode()
        pages = set(re.findall(r'href="/admin/(\w+/\w+)/"', html))
        expected = {"clients/client", "clients/apikey", "clients/auditentry", "auth/user"}
        self.assertLessEqual(expected | {"submissions/submission", "analysis/face"}, pages)
        for page in pages:
            with self.subTest(page):
                self.assertEqual(self.client.get(f"/admin/{page}/").status_code, 200)
        self.assertNotIn("rest_framework_api_key/apikey", pages)


class ClientAdminTests(AdminCase):
    def test_the_list_counts_keys_in_use_and_bytes(self) -> None:
        self.key_of(self.alice)
        self.key_of(self.alice)
        services.revoke_key(self.key_of(self.alice), actor="test")
        Client.objects.filter(pk=self.alice.pk).update(stored_bytes=5 << 20, quota_bytes=1 << 30)
        page = self.client.get("/admin/clients/client/?q=alice")
        for text in (f'client__id__exact={self.alice.pk}">2</a>', "5.0\xa0MB", "1.0\xa0GB"):
            self.assertContains(page, text)

    def test_the_list_costs_no_query_a_row(self) -> None:
        with self.assertNumQueries(4):
            self.client.get("/admin/clients/client/")
        Client.objects.bulk_create(Client(name=f"client {number}") for number in range(20))
        with self.assertNumQueries(4):
            self.client.get("/admin/clients/client/")

    def test_a_client_made_or_changed_is_noted(self) -> None:
        self.client.post("/admin/clients/client/add/", {"name": "carol"})
        carol = Client.objects.get(name="carol")
        change = {"name": "carol", "quota_bytes": "1000"}
        self.client.post(f"/admin/clients/client/{carol.pk}/change/", change)
        carol.refresh_from_db()
        self.assertEqual(carol.quota_bytes, 1000)
        subject = f"client {carol.pk}"
        self.assertEqual(self.noted(), [("add client", subject), ("change client", subject)])

    def test_a_client_cannot_be_deleted_here(self) -> None:
        answer = self.client.post(f"/admin/clients/client/{self.alice.pk}/delete/", {"post": "yes"})
        self.assertEqual(answer.status_code, 403)


class ApiKeyAdminTests(AdminCase):
    def make(self) -> Any:
        data = {"client": self.alice.pk, "name": "phone", "scopes": ["upload", "read"]}
        return self.client.post("/admin/clients/apikey/add/", data)

    def test_a_new_key_is_shown_once_and_opens(self) -> None:
        answer = self.make()
        self.assertRedirects(answer, "/admin/clients/apikey/", fetch_redirect_response=False)
        first = self.client.get("/admin/clients/apikey/").content.decode()
        (key,) = re.findall(r"\b[A-Za-z0-9]{8}\.[A-Za-z0-9]{32}\b", first)
        caller = authentication.by_key(key)
        self.assertEqual((caller.client_id, caller.scopes), (self.alice.pk, {"upload", "read"}))
        again = self.client.get("/admin/clients/apikey/").content.decode()
        self.assertNotIn(key.partition(".")[2], again)
        self.assertIn(caller.key_prefix, again)
        self.assertEqual(self.noted(), [("create key", f"{caller.key_prefix} of alice")])

    def test_the_text_of_a_key_is_kept_nowhere_here(self) -> None:
        (message,) = [str(text) for text in get_messages(self.make().wsgi_request)]
        secret = message.rpartition(".")[2]
        models: list[Any] = [Session, LogEntry, ApiKey, AuditEntry]
        stored = [vars(row) for model in models for row in model.objects.all()]
        self.assertTrue(stored)
        self.assertNotIn(secret, str(stored))

    def test_no_address_holds_the_hash_of_a_key(self) -> None:
        key = self.key_of(self.alice)
        html = self.client.get("/admin/clients/apikey/").content.decode()
        self.assertFalse(
            [link for link in re.findall(r'href="([^"]*)"', html) if key.prefix in link]
        )
        answer = self.client.get(f"/admin/clients/apikey/{key.prefix}/change/")
        self.assertEqual(answer.status_code, 302)

    def test_the_anonymous_client_gets_no_key(self) -> None:
        data = {"client": 1, "name": "x", "scopes": ["read"]}
        answer = self.client.post("/admin/clients/apikey/add/", data)
        self.assertContains(answer, "Select a valid choice")

    def test_filters_find_by_client_scope_expiry_and_revocation(self) -> None:
        ends = timezone.now() + timedelta(days=1)
        plain = self.key_of(self.alice, "read")
        ending = self.key_of(self.bob, "admin", expires_at=ends)
        over = self.key_of(self.bob, "upload", expires_at=timezone.now())
        services.revoke_key(plain, actor="test")
        for query, found in (
            (f"client__id__exact={self.alice.pk}", {plain}),
            ("scope=admin", {ending}),
            ("scope=nonsense", {plain, ending, over}),
            ("expiry=never", {plain}),
            ("expiry=later", {ending}),
            ("expiry=expired", {over}),
            ("revoked__exact=1", {plain}),
        ):
            with self.subTest(query):
                page = self.client.get(f"/admin/clients/apikey/?{query}")
                self.assertEqual(set(page.context["cl"].queryset), found)

    def test_a_revocation_is_immediate_and_audited(self) -> None:
        key = self.key_of(self.alice)
        page = self.act("clients/apikey", "revoke", key)
        self.assertContains(page, "Revoke 1 API keys?")
        key.refresh_from_db()
        self.assertFalse(key.revoked)
        self.act("clients/apikey", "revoke", key, confirmed="yes")
        key.refresh_from_db()
        self.assertTrue(key.revoked)
        self.assertEqual(self.noted(), [("revoke key", f"{key.prefix} of alice")])

    def test_a_rotated_key_ends_in_a_day_and_the_new_one_is_shown(self) -> None:
        old = self.key_of(self.alice, "upload", "read")
        page = self.act("clients/apikey", "rotate", old)
        (text,) = re.findall(r"\b[A-Za-z0-9]{8}\.[A-Za-z0-9]{32}\b", page.content.decode())
        self.assertEqual(authentication.by_key(text).scopes, {"upload", "read"})
        old.refresh_from_db()
        assert old.expiry_date is not None
        self.assertAlmostEqual((old.expiry_date - timezone.now()).total_seconds(), 86400, delta=60)
        self.assertIn("rotate key", [action for action, _ in self.noted()])

    def test_too_many_to_show_are_not_rotated(self) -> None:
        keys = [self.key_of(self.alice) for _ in range(6)]
        page = self.act("clients/apikey", "rotate", *keys)
        self.assertContains(page, "At most 5 keys")
        self.assertEqual(ApiKey.objects.count(), 6)

    def test_the_list_costs_no_query_a_row(self) -> None:
        self.key_of(self.alice)
        with self.assertNumQueries(5):
            self.client.get("/admin/clients/apikey/")
        for _ in range(19):
            self.key_of(self.alice)
        with self.assertNumQueries(5):
            self.client.get("/admin/clients/apikey/")


class AuditAdminTests(AdminCase):
    def test_the_trail_can_be_read_and_not_changed(self) -> None:
        audit.audit("somebody", "create key", "abc of alice")
        entry = AuditEntry.objects.get()
        page = f"/admin/clients/auditentry/{entry.pk}"
        self.assertContains(self.client.get("/admin/clients/auditentry/?q=abc"), "somebody")
        self.assertEqual(self.client.get(f"{page}/change/").status_code, 200)
        for path in (f"{page}/change/", f"{page}/delete/", "/admin/clients/auditentry/add/"):
            self.assertEqual(self.client.post(path, {"actor": "x"}).status_code, 403, path)
        self.act("clients/auditentry", "delete_selected", entry, post="yes")
        self.assertEqual(AuditEntry.objects.get().actor, "somebody")


class SettingTests(SimpleTestCase):
    def secure(self, service_url: str) -> str:
        names = "s.SESSION_COOKIE_SECURE, s.CSRF_COOKIE_SECURE, s.CSRF_TRUSTED_ORIGINS"
        code = f"from backend import settings as s; print({names})"
        environ = {**os.environ, "SERVICE_URL": service_url}
        run = subprocess.run(
            [sys.executable, "-c", code], env=environ, capture_output=True, cwd=ROOT
        )
        return run.stdout.decode().strip()

    def test_cookies_travel_by_https_alone_where_the_service_does(self) -> None:
        for url, secure in (("https://faces.example", True), ("http://localhost:8282", False)):
            self.assertEqual(self.secure(url), f"{secure} {secure} ['{url}']")
