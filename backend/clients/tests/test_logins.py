"""Limits of the login forms: whose failures count against whom."""

from typing import Any

from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client as Browser
from django.test import TestCase, override_settings

from backend.clients.limits import logins
from backend.clients.models import AuditEntry

_PASSWORD = "correct horse battery"


@override_settings(FACES_LOGIN_RATE=(3, 86_400))
class LoginLimitTests(TestCase):
    def setUp(self) -> None:
        cache.clear()
        User.objects.create_superuser("olga", password=_PASSWORD)
        User.objects.create_superuser("bob", password=_PASSWORD)

    def log_in(self, browser: Browser, password: str = _PASSWORD, name: str = "olga") -> int:
        answer = browser.post("/admin/login/", {"username": name, "password": password})
        return answer.status_code

    def lock(self, name: str = "olga", address: str = "203.0.113.9") -> None:
        stranger = Browser(headers={"x-real-ip": address})
        codes = [self.log_in(stranger, "wrong", name) for _ in range(5)]
        self.assertEqual(codes[-1], 429)

    def test_good_logins_do_not_count(self) -> None:
        for path in ("/admin/login/", "/members/login/"):
            for _ in range(6):
                answer = Browser().post(path, {"username": "olga", "password": _PASSWORD})
                self.assertEqual(answer.status_code, 302)

    def test_failures_of_others_do_not_lock_out_a_browser_that_logged_in_before(self) -> None:
        known = Browser()
        self.assertEqual(self.log_in(known), 302)
        known.post("/admin/logout/")
        self.assertIn(logins.COOKIE, known.cookies)
        # By the name, and by the address that both share.
        self.lock()
        self.lock("mallory", "127.0.0.1")
        self.assertEqual(self.log_in(Browser()), 429)
        self.assertEqual(self.log_in(known), 302)

    def test_a_known_browser_cannot_guess_either(self) -> None:
        known = Browser()
        self.log_in(known)
        codes = [self.log_in(known, "wrong") for _ in range(5)]
        self.assertEqual(codes, [200, 200, 200, 429, 429])
        self.assertEqual(self.log_in(known), 429)
        self.assertEqual(self.log_in(Browser(headers={"x-real-ip": "198.51.100.1"})), 302)

    def test_a_browser_is_known_for_the_names_that_it_logged_in_with(self) -> None:
        known = Browser()
        self.log_in(known)
        self.lock("bob")
        self.assertEqual(self.log_in(known, name="bob"), 429)

    def test_a_forged_cookie_is_no_cookie(self) -> None:
        self.lock()
        for value in ("", "x", "eyJuYW1lcyI6W119:1x:y"):
            forger = Browser()
            forger.cookies[logins.COOKIE] = value
            self.assertEqual(self.log_in(forger), 429)

    def test_a_wrong_password_counts_and_is_no_login_while_another_user_is_logged_in(self) -> None:
        browser: Any = Browser()
        browser.force_login(User.objects.get(username="bob"))
        codes = [self.log_in(browser, "wrong") for _ in range(4)]
        self.assertEqual(codes, [200, 200, 200, 429])
        self.assertFalse(AuditEntry.objects.filter(action="log in").exists())
