"""Sessions and redirects of logins: nothing that an attacker chose before is used after."""

from __future__ import annotations

from typing import Any

from allauth.mfa.totp.internal.auth import TOTP
from django.conf import settings
from django.core import mail
from django.test import Client, override_settings

from backend.accounts import links
from backend.accounts.tests.test_accounts import (
    _BROWSER,
    _NEW,
    _PASSWORD,
    _SECRET,
    AccountCase,
    code,
)

_ELSEWHERE = (
    "https://evil.example/",
    "//evil.example/",
    "///evil.example/",
    "/\\evil.example/",
    "\\\\evil.example/",
    "http:evil.example",
    "https:/evil.example",
    "javascript:alert(1)",
    "\thttps://evil.example/",
    "http://testserver@evil.example/",
    "http://testserver.evil.example/",
)


class SessionTests(AccountCase):
    def key(self) -> str:
        cookie = self.client.cookies.get(settings.SESSION_COOKIE_NAME)
        return cookie.value if cookie else ""

    def planted(self) -> str:
        """A session that somebody else has too: it belongs to a login that was begun."""
        TOTP.activate(self.alice, _SECRET)
        self.log_in()
        self.assertTrue(self.key())
        return self.key()

    def is_in_by(self, key: str) -> bool:
        other = Client(headers=_BROWSER)
        other.cookies[settings.SESSION_COOKIE_NAME] = key
        return self.is_in(other)

    def test_a_login_has_a_new_session_behind_either_factor(self) -> None:
        planted = self.planted()
        self.client.post("/accounts/second-factor/authenticate", {"code": code()})
        self.assertTrue(self.is_in())
        self.assertNotEqual(self.key(), planted)
        self.assertFalse(self.is_in_by(planted))

    def test_a_logout_ends_the_session_itself(self) -> None:
        self.log_in()
        key = self.key()
        self.client.post("/members/logout/")
        self.assertFalse(self.is_in_by(key))

    def test_a_link_that_sets_a_password_ends_all_older_sessions(self) -> None:
        self.log_in()
        self.alice.refresh_from_db()
        path = "/" + links.to_set_password(self.alice).partition("//")[2].partition("/")[2]
        browser = Client(headers=_BROWSER)
        form = browser.get(path)["Location"]
        browser.post(form, {"password1": _NEW, "password2": _NEW})
        self.assertTrue(self.is_in(browser))
        self.assertFalse(self.is_in())

    def test_the_token_of_a_link_is_in_no_page_and_no_referrer(self) -> None:
        path = "/" + links.to_set_password(self.alice).partition("//")[2].partition("/")[2]
        answer = self.client.get(path)
        self.assertNotIn(path.rpartition("-")[2].rstrip("/"), answer["Location"])
        page = self.client.get(answer["Location"])
        self.assertNotIn(path.rpartition("-")[2].rstrip("/"), page.content.decode())
        self.assertEqual(page["Referrer-Policy"], "same-origin")


class RedirectTests(AccountCase):
    def landed(self, answer: Any) -> str:
        return str(answer.headers.get("Location", ""))

    def test_a_login_leads_to_no_other_site(self) -> None:
        for path in ("members", "admin"):
            for url in _ELSEWHERE:
                self.client = Client(headers=_BROWSER)
                sent = {"username": "zoe", "password": _PASSWORD, "next": url}
                answer = self.client.post(f"/{path}/login/", sent)
                self.assertEqual(answer.status_code, 302)
                self.assertNotIn("evil", self.landed(answer), url)
                self.assertNotIn("javascript", self.landed(answer), url)

    @override_settings(ALLOWED_HOSTS=["*"])
    def test_nor_where_any_host_is_allowed(self) -> None:
        self.test_a_login_leads_to_no_other_site()

    def test_nor_do_a_logout_a_second_factor_and_a_page_that_asks_again(self) -> None:
        TOTP.activate(self.alice, _SECRET)
        self.log_in()
        for url in _ELSEWHERE:
            form = {"password": _PASSWORD, "next": url}
            for path in ("second-factor/authenticate", "reauthenticate", "login"):
                for answer in (
                    self.client.get(f"/accounts/{path}", {"next": url}),
                    self.client.post(f"/accounts/{path}", form),
                ):
                    self.assertFalse(self.landed(answer).startswith(url), (path, url))
        self.client.force_login(self.alice)
        for url in _ELSEWHERE:
            answer = self.client.post(
                "/accounts/reauthenticate", {"password": _PASSWORD, "next": url}
            )
            self.assertNotIn("evil", self.landed(answer), url)
            answer = Client().post("/members/logout/", {"next": url})
            self.assertNotIn("evil", self.landed(answer), url)


class HostTests(AccountCase):
    """A Host that an attacker chose is in no link and no mail."""

    @override_settings(
        FACES_EMAIL_URL="smtp://127.0.0.1", ALLOWED_HOSTS=["faces.example", "testserver"]
    )
    def test_of_a_forgotten_password(self) -> None:
        form = {"email": "alice@faces.example"}
        for headers in (
            {"host": "evil.example"},
            {"host": "faces.example@evil.example"},
            {"host": "faces.example:80@evil.example"},
            {"host": "evil.example#.faces.example"},
        ):
            answer = self.client.post("/accounts/password/reset/", form, headers=headers)
            self.assertEqual(answer.status_code, 400, headers)
        for headers in (
            {"x-forwarded-host": "evil.example"},
            {"forwarded": "host=evil.example"},
            {"x-host": "evil.example"},
            {"x-original-host": "evil.example"},
        ):
            with self.settings(FACES_LOGIN_RATE=None):
                answer = self.client.post("/accounts/password/reset/", form, headers=headers)
            self.assertEqual(answer.status_code, 302)
        for message in mail.outbox:
            self.assertNotIn("evil", f"{message.subject}{message.body}{message.from_email}")
        self.assertEqual(len(mail.outbox), 4)

    @override_settings(
        FACES_EMAIL_URL="smtp://127.0.0.1",
        ALLOWED_HOSTS=["*"],
        SERVICE_URL="https://faces.example",
        LINKS_FOLLOW_REQUEST=False,
    )
    def test_with_a_service_url_no_host_of_a_request_counts(self) -> None:
        form = {"email": "alice@faces.example"}
        self.client.post("/accounts/password/reset/", form, headers={"host": "evil.example"})
        (message,) = mail.outbox
        self.assertIn("https://faces.example/accounts/password/reset/key/", str(message.body))
        self.assertNotIn("evil", f"{message.subject}{message.body}")
