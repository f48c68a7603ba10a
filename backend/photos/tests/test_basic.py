"""HTTP Basic at the members' API: not for pages of other sites, and cheap for scripts."""

import time
from functools import partial
from itertools import product
from unittest import mock

from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client, TransactionTestCase, override_settings

from backend.photos.models import Member
from backend.photos.tests.test_api import FACES, MATCHES, ApiCase, basic
from tests.support.at_once import at_once


class BasicTests(ApiCase):
    def setUp(self) -> None:
        super().setUp()
        User.objects.create_user("carol", password="right")

    def test_pages_of_other_sites_are_refused_and_change_nothing(self) -> None:
        hostile: list[dict[str, str]] = [
            {"origin": "https://evil.example"},
            {"origin": "null"},
            {"origin": "http://testserver.evil.example"},
            {"origin": "http://testserver:81"},
            {"origin": "https://localhost:8282"},
            {"origin": "file://"},
            {"origin": "http://[", "sec-fetch-site": "same-origin"},
            {"origin": "http://evil.example", "host": "testserver"},
            {"sec-fetch-site": "cross-site"},
            {"sec-fetch-site": "same-site"},
            {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"},
            {"referer": "https://evil.example/testserver/"},
        ]
        for headers, url in product(hostile, ("http://localhost:8282", "")):
            with self.subTest(headers), self.settings(SERVICE_URL=url):
                sent = {**basic("carol", "right"), **headers}
                answer = Client().put(f"{FACES}/consent/", headers=sent)
                self.assertEqual(answer.status_code, 403)
                self.assertFalse(Member.objects.filter(opted_in_at__isnull=False).exists())
                # Not even whether the password is right.
                sent = {**basic("carol", "wrong"), **headers}
                self.assertEqual(Client().put(f"{FACES}/consent/", headers=sent).status_code, 403)

    def test_own_pages_programs_and_followed_links_are_served(self) -> None:
        own: list[dict[str, str]] = [
            {},
            {"origin": "http://testserver", "sec-fetch-site": "same-origin"},
            {"origin": "http://localhost:8282"},
            {"sec-fetch-site": "none"},
            {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "referer": "https://x/"},
            {"referer": "http://testserver/members/"},
        ]
        for headers in own:
            with self.subTest(headers):
                answer = Client().get(MATCHES, headers={**basic("carol", "right"), **headers})
                self.assertEqual(answer.status_code, 200)

    def status(self, password: str = "right", name: str = "carol") -> int:
        return Client().get(MATCHES, headers=basic(name, password)).status_code

    def verifications(self, *passwords: str) -> int:
        """How often a hash was computed for these passwords, one request each."""
        with mock.patch(
            "rest_framework.authentication.authenticate", wraps=authenticate
        ) as verified:
            for password in passwords:
                self.status(password)
        return verified.call_count

    def test_a_good_password_is_verified_once_a_wrong_one_each_time(self) -> None:
        self.assertEqual(self.verifications("right", "right", "right"), 1)
        self.assertEqual(self.verifications("wrong", "wrong", "right"), 2)

    def test_a_verified_password_ends_with_the_password_the_user_and_its_time(self) -> None:
        carol = User.objects.get(username="carol")
        self.assertEqual(self.status(), 200)
        carol.set_password("new")
        carol.save()
        self.assertEqual((self.status(), self.status("new")), (401, 200))
        User.objects.filter(pk=carol.pk).update(is_active=False)
        self.assertEqual(self.status("new"), 401)
        User.objects.filter(pk=carol.pk).update(is_active=True)
        with mock.patch("time.monotonic", return_value=time.monotonic() + 301):
            self.assertEqual(self.verifications("new"), 1)
        carol.delete()
        self.assertEqual(self.status("new"), 401)

    def test_the_password_of_one_user_is_not_that_of_another(self) -> None:
        dave = User.objects.create_user("dave", password="other")
        self.assertEqual(self.status(), 200)
        self.assertEqual(self.status(name="dave"), 401)
        # Even if both rows had the same hash, as after an import.
        User.objects.filter(pk=dave.pk).update(password=User.objects.get(username="carol").password)
        self.assertEqual(self.verifications("right"), 0)
        self.assertEqual(self.status(name="dave"), 200)

    def test_names_that_no_database_takes_are_refused(self) -> None:
        for name in ("car\x00ol", "", "x" * 5000):
            self.assertEqual(self.status(name=name), 401)


@override_settings(
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    FACES_LOGIN_RATE=(3, 86_400),
)
class AtTheSameTimeTests(TransactionTestCase):
    """A script that starts sends several requests at once; none of them has logged in before."""

    def setUp(self) -> None:
        cache.clear()
        User.objects.create_user("carol", password="right")

    def status(self, password: str, name: str = "carol", address: str = "203.0.113.1") -> int:
        headers = {**basic(name, password), "x-real-ip": address}
        return Client().get(MATCHES, headers=headers).status_code

    def log_in(self, name: str) -> int:
        form = {"username": name, "password": "right"}
        return Client().post("/members/login/", form).status_code

    def together(self, passwords: list[str]) -> list[int]:
        return sorted(at_once([partial(self.status, each) for each in passwords]))

    def test_good_logins_are_served_and_count_nothing(self) -> None:
        self.assertEqual(self.together(["right"] * 12), [200] * 12)
        self.assertEqual([self.status("wrong") for _ in range(4)], [401] * 3 + [429])

    def test_wrong_ones_are_limited_all_the_same(self) -> None:
        found = self.together([f"wrong {number}" for number in range(12)])
        self.assertEqual((found.count(401), found.count(429)), (3, 9))

    def test_many_members_at_one_address_are_served_and_count_nothing(self) -> None:
        names = [f"member-{number}" for number in range(12)]
        for name in names:
            User.objects.create_user(name, password="right")
        scripts = [partial(self.status, "right", name) for name in names]
        self.assertEqual(at_once(scripts), [200] * 12)
        self.assertEqual(at_once([partial(self.log_in, name) for name in names]), [302] * 12)
        self.assertEqual([self.status("wrong") for _ in range(4)], [401] * 3 + [429])

    def test_a_member_who_logged_in_is_not_locked_out_by_others_at_the_address(self) -> None:
        self.assertEqual(self.status("right"), 200)
        others = [self.status("wrong", f"other-{number}") for number in range(4)]
        self.assertEqual(others, [401] * 3 + [429])
        self.assertEqual(self.status("right"), 200)
        elsewhere = [self.status("wrong", address="198.51.100.7") for _ in range(4)]
        self.assertEqual(elsewhere, [401] * 3 + [429])
        self.assertEqual(self.status("right"), 200)
        # Nor may that member's neighbours guess the password.
        self.assertEqual([self.status("wrong") for _ in range(4)], [401] * 3 + [429])
        self.assertEqual(self.status("right"), 429)
