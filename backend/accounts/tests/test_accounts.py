"""Accounts: passwords and links, second factors, and who gets which."""

from __future__ import annotations

import re
import threading
import time
from typing import Any, ClassVar
from unittest import mock

from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, hotp_value
from django.contrib.auth.models import Permission, User
from django.core import mail
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client, TestCase, override_settings

from backend.clients.models import AuditEntry

_PASSWORD = "correct horse battery"
_NEW = "staple of a horse"
_SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
_YOU = "/members/photos/facedetection/you"
_BROWSER = {"accept": "text/html"}


def code(steps: int = 0, secret: str = _SECRET) -> str:
    """The code of RFC 6238, `steps` half minutes from now."""
    return str(format_hotp_value(hotp_value(secret, int(time.time() // 30) + steps)))


@override_settings(FACES_LOGIN_RATE=(3, 86_400))
class AccountCase(TestCase):
    zoe: ClassVar[User]
    alice: ClassVar[User]

    @classmethod
    def setUpTestData(cls) -> None:
        cls.zoe = User.objects.create_superuser("zoe", password=_PASSWORD)
        cls.alice = User.objects.create_user("alice", "alice@faces.example", _PASSWORD)

    def setUp(self) -> None:
        cache.clear()
        self.client = Client(headers=_BROWSER)

    def log_in(self, name: str = "alice", password: str = _PASSWORD, path: str = "members") -> Any:
        sent = {"username": name, "password": password}
        return self.client.post(f"/{path}/login/", sent)

    def is_in(self, client: Any = None) -> bool:
        answer = (client or self.client).get(_YOU)
        self.assertIn(answer.status_code, (200, 302))
        return bool(answer.status_code == 200)


class PasswordTests(AccountCase):
    def test_members_change_their_password_and_stay_logged_in(self) -> None:
        other = Client()
        other.force_login(self.alice)
        self.log_in()
        form = {"oldpassword": _PASSWORD, "password1": _NEW, "password2": _NEW}
        self.assertEqual(self.client.post("/accounts/password/change", form).status_code, 302)
        self.assertTrue(self.is_in())
        self.assertFalse(self.is_in(other))
        self.client.logout()
        self.assertEqual(self.log_in().status_code, 200)
        self.assertEqual(self.log_in(password=_NEW).status_code, 302)

    def test_guesses_of_the_old_password_are_limited(self) -> None:
        self.client.force_login(self.alice)
        form = {"oldpassword": "wrong", "password1": _NEW, "password2": _NEW}
        for path in ("password/change", "reauthenticate"):
            cache.clear()
            codes = [
                self.client.post(f"/accounts/{path}", {**form, "password": "wrong"}).status_code
                for _ in range(4)
            ]
            self.assertEqual(codes, [200, 200, 200, 429], path)

    def test_the_admins_own_page_of_passwords_leads_here(self) -> None:
        self.client.force_login(self.zoe)
        answer = self.client.get("/admin/password_change/")
        self.assertEqual(answer["Location"], "/accounts/password/change")

    def test_without_a_mail_server_a_forgotten_password_is_for_staff(self) -> None:
        page = self.client.get("/accounts/password/reset/")
        self.assertContains(page, "Ask staff for a link")
        self.client.post("/accounts/password/reset/", {"email": "alice@faces.example"})
        self.assertEqual(mail.outbox, [])

    @override_settings(FACES_EMAIL_URL="smtp://127.0.0.1")
    def test_with_one_a_link_is_sent_and_works_once(self) -> None:
        for address in ("alice@faces.example", "nobody@faces.example"):
            answer = self.client.post("/accounts/password/reset/", {"email": address})
            self.assertEqual(answer["Location"], "/accounts/password/reset/done")
        (sent,) = mail.outbox
        self.assertEqual(sent.to, ["alice@faces.example"])
        (path,) = re.findall(r"http://localhost:8282(/\S+)|http://testserver(/\S+)", str(sent.body))
        link = "".join(path)
        self.assertTrue(link.startswith("/accounts/password/reset/key/"))
        self.assertEqual(self.set_password(link).status_code, 302)
        self.assertTrue(self.is_in())
        self.assertContains(Client().get(link), "This link has ended")

    @override_settings(FACES_EMAIL_URL="smtp://127.0.0.1")
    def test_mail_is_limited(self) -> None:
        form = {"email": "alice@faces.example"}
        codes = [self.client.post("/accounts/password/reset/", form).status_code for _ in range(4)]
        self.assertEqual(codes, [302, 302, 302, 429])
        self.assertEqual(len(mail.outbox), 3)

    def test_there_is_no_sign_up(self) -> None:
        for path in ("accounts/signup/", "accounts/email/"):
            self.assertEqual(self.client.get(f"/{path}").status_code, 404)

    def set_password(self, link: str, password: str = _NEW, client: Any = None) -> Any:
        browser = client or self.client
        form = browser.get(link)["Location"]
        return browser.post(form, {"password1": password, "password2": password})


class InvitationTests(PasswordTests):
    def invite(self, **form: str) -> Any:
        browser = Client(headers=_BROWSER)
        browser.force_login(self.zoe)
        return browser.post("/accounts/invite", form)

    def link(self, **form: str) -> str:
        html = self.invite(**form).content.decode()
        found = re.search(r'id="link" readonly value="https?://[^/]+([^"]+)"', html)
        assert found is not None, html
        return found[1]

    def test_a_link_lets_a_new_member_in_once(self) -> None:
        link = self.link(kind="new", username="carol")
        self.assertFalse(User.objects.get(username="carol").has_usable_password())
        self.assertEqual(self.log_in("carol", "").status_code, 200)
        self.assertEqual(self.set_password(link).status_code, 302)
        self.assertTrue(self.is_in())
        self.assertContains(Client().get(link), "This link has ended")
        self.assertTrue(AuditEntry.objects.filter(action="invite user").exists())

    def test_a_link_ends_with_its_time_and_with_a_newer_one(self) -> None:
        first = self.link(kind="new", username="carol")
        second = self.link(kind="known", username="carol")
        self.assertContains(Client().get(first), "This link has ended")
        self.assertEqual(Client().get(second).status_code, 302)
        with override_settings(PASSWORD_RESET_TIMEOUT=-1):
            self.assertContains(Client().get(second), "This link has ended")

    def test_weak_passwords_are_refused(self) -> None:
        link = self.link(kind="known", username="alice")
        for weak in ("short", "password1", "alice123"):
            self.assertEqual(self.set_password(link, weak).status_code, 200, weak)

    def test_only_staff_makes_links_and_none_to_more_than_it_has(self) -> None:
        clerk = User.objects.create_user("clerk", is_staff=True)
        for user, expected in ((None, 302), (self.alice, 403), (clerk, 403)):
            browser = Client(headers=_BROWSER)
            if user:
                browser.force_login(user)
            self.assertEqual(browser.get("/accounts/invite").status_code, expected)
        clerk.user_permissions.add(
            Permission.objects.get(codename="add_user", content_type__app_label="auth")
        )
        browser = Client(headers=_BROWSER)
        browser.force_login(clerk)
        for name, expected in (("alice", 200), ("zoe", 403), ("clerk", 403)):
            form = {"kind": "known", "username": name}
            answer = browser.post("/accounts/invite", form)
            self.assertEqual((name, answer.status_code), (name, expected))

    def test_a_name_that_is_taken_makes_no_link(self) -> None:
        self.assertNotContains(self.invite(kind="new", username="alice"), 'id="link"')
        self.assertNotContains(self.invite(kind="known", username="eve"), 'id="link"')


class SecondFactorTests(AccountCase):
    def setUp(self) -> None:
        super().setUp()
        TOTP.activate(self.alice, _SECRET)

    def send(self, sent: str) -> Any:
        return self.client.post("/accounts/second-factor/authenticate", {"code": sent})

    def test_a_login_needs_the_code_too(self) -> None:
        answer = self.log_in()
        self.assertEqual(answer["Location"], "/accounts/second-factor/authenticate")
        self.assertFalse(self.is_in())
        self.assertNotIn("faces_known_browser", self.client.cookies)
        self.assertEqual(self.send("000000").status_code, 200)
        self.assertFalse(self.is_in())
        self.assertEqual(self.send(code()).status_code, 302)
        self.assertTrue(self.is_in())
        self.assertIn("faces_known_browser", self.client.cookies)

    def test_it_goes_on_to_the_page_that_was_asked_for(self) -> None:
        page = "/members/photos/"
        sent = {"username": "alice", "password": _PASSWORD, "next": page}
        self.client.post("/members/login/", sent)
        self.assertEqual(self.send(code())["Location"], page)

    def test_a_code_is_taken_once(self) -> None:
        sent = code()
        self.log_in()
        self.assertEqual(self.send(sent).status_code, 302)
        self.client = Client()
        self.log_in()
        self.assertEqual(self.send(sent).status_code, 200)
        self.assertFalse(self.is_in())

    def test_codes_cannot_be_guessed(self) -> None:
        self.log_in()
        self.assertEqual([self.send("000000").status_code for _ in range(6)], [200] * 5 + [429])
        self.assertEqual(self.send(code()).status_code, 429)
        # Nor from elsewhere.
        self.client = Client(headers={"x-real-ip": "203.0.113.7"})
        self.log_in()
        self.assertEqual(self.send(code()).status_code, 429)

    def test_the_password_alone_opens_no_api(self) -> None:
        from backend.photos.tests.test_api import MATCHES, basic

        answer = Client().get(MATCHES, headers=basic("alice", _PASSWORD))
        self.assertEqual(answer.status_code, 401)
        self.assertIn("second factor", answer.json()["detail"])

    def test_a_new_password_by_a_link_needs_the_code_too(self) -> None:
        from backend.accounts import links

        link = links.to_set_password(self.alice).partition("//")[2]
        form = self.client.get(f"/{link.partition('/')[2]}")["Location"]
        answer = self.client.post(form, {"password1": _NEW, "password2": _NEW})
        self.assertEqual(answer["Location"], "/accounts/second-factor/authenticate")
        self.assertFalse(self.is_in())

    def test_a_recovery_code_stands_in_once_and_the_operator_can_remove_all(self) -> None:
        RecoveryCodes.activate(self.alice)
        codes = RecoveryCodes(
            Authenticator.objects.get(user=self.alice, type=Authenticator.Type.RECOVERY_CODES)
        )
        spare = codes.get_unused_codes()[0]
        self.log_in()
        self.assertEqual(self.send(spare).status_code, 302)
        self.client = Client()
        self.log_in()
        self.assertEqual(self.send(spare).status_code, 200)
        call_command("remove_second_factor", "alice")
        with self.assertRaises(CommandError):
            call_command("remove_second_factor", "alice")
        self.assertEqual(self.log_in()["Location"], _YOU)


@override_settings(FACES_STAFF_SECOND_FACTOR=True)
class StaffTests(AccountCase):
    def test_without_one_staff_reaches_only_the_pages_that_set_it_up(self) -> None:
        self.assertEqual(self.log_in("zoe", path="admin").status_code, 302)
        for path in ("/admin/", "/dashboard", "/members/photos/", "/accounts/invite", "/"):
            answer = self.client.get(path)
            self.assertEqual(answer["Location"], "/accounts/second-factor", path)
        script = Client()
        script.cookies = self.client.cookies
        for path in ("/dashboard/numbers/", "/api/v2/photos/facedetection/matches/"):
            self.assertEqual(script.get(path).status_code, 403)
        self.assertEqual(self.client.get("/accounts/second-factor").status_code, 200)
        # That the admin opens then: StaffSecondFactorTests, in a browser.
        self.client.post("/accounts/reauthenticate", {"password": _PASSWORD})
        self.assertContains(self.client.get("/accounts/second-factor/totp/activate"), "svg")

    def test_a_session_from_before_is_asked_for_the_code(self) -> None:
        self.client.force_login(self.zoe)
        TOTP.activate(self.zoe, _SECRET)
        answer = self.client.get("/admin/")
        asks = "/accounts/second-factor/reauthenticate?next=%2Fadmin%2F"
        self.assertEqual(answer["Location"], asks)
        self.assertEqual(self.client.post(asks, {"code": code()})["Location"], "/admin/")
        self.assertEqual(self.client.get("/admin/").status_code, 200)

    def test_members_need_none_and_staff_cannot_remove_its_last(self) -> None:
        self.log_in()
        self.assertTrue(self.is_in())
        TOTP.activate(self.zoe, _SECRET)
        self.client = Client(headers=_BROWSER)
        self.log_in("zoe", path="admin")
        self.client.post("/accounts/second-factor/authenticate", {"code": code()})
        self.client.post("/accounts/reauthenticate", {"password": _PASSWORD})
        self.client.post("/accounts/second-factor/totp/deactivate")
        self.assertTrue(Authenticator.objects.filter(user=self.zoe).exists())

    def test_the_password_of_staff_opens_no_api(self) -> None:
        from backend.photos.tests.test_api import MATCHES, basic

        answer = Client().get(MATCHES, headers=basic("zoe", _PASSWORD))
        self.assertEqual(answer.status_code, 401)


class LimitTests(AccountCase):
    def test_attempts_at_the_same_time_are_counted_before_they_are_made(self) -> None:
        tried, all_tried = [], threading.Event()

        def slow(*args: Any, **named: Any) -> None:
            tried.append(1)
            if len(tried) == 3:
                all_tried.set()
            all_tried.wait(10)

        def attempt() -> None:
            answers.append(self.log_in(password="wrong").status_code)
            connection.close()

        answers: list[int] = []
        with mock.patch("allauth.account.adapter.authenticate", slow):
            threads = [threading.Thread(target=attempt) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        self.assertEqual(len(tried), 3)
        self.assertEqual(sorted(answers), [200] * 3 + [429] * 5)

    def test_the_admin_takes_staff_alone(self) -> None:
        answer = self.log_in(path="admin")
        self.assertEqual(answer.status_code, 200)
        self.assertFalse(self.is_in())

    def test_pages_have_the_headers_of_pages(self) -> None:
        self.client.force_login(self.zoe)
        for path in ("", "/invite", "/second-factor", "/password/change"):
            for ending in ("", "/"):
                page = self.client.get(f"/accounts{path}{ending}")
                self.assertEqual(page.status_code, 200, path)
                self.assertIn("default-src 'self'", page["Content-Security-Policy"])
                self.assertIn("no-store", page["Cache-Control"])
