"""API keys: made once, hashed, scoped, rotated, revoked."""

import io
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from unittest import mock

import jwt
import redis
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import TestCase, override_settings
from django.utils import timezone

from backend.clients import keys
from backend.clients.models import ApiKey, AuditEntry, Client
from backend.clients.tests import factories
from backend.common import redis_clients
from wire import feeds


def status(test: TestCase, **headers: str) -> int:
    return int(test.client.get("/client/", headers=headers).status_code)


class KeyTests(TestCase):
    def setUp(self) -> None:
        redis_clients.default().flushdb()
        self.key, self.text = factories.key_of("alice")

    def test_the_key_is_not_kept_only_its_hash_and_prefix(self) -> None:
        kept = str(ApiKey.objects.filter(pk=self.key.pk).values().get())
        self.assertNotIn(self.text.partition(".")[2], kept)
        self.assertTrue(self.text.startswith(f"{self.key.prefix}."))

    def test_both_headers_are_understood(self) -> None:
        for headers in ({"authorization": f"Bearer {self.text}"}, {"x-api-key": self.text}):
            with self.subTest(headers):
                answer = self.client.get("/client/", headers=headers)
                self.assertEqual(answer.json()["name"], "alice")
                self.assertIn("/faces?token=", answer.json()["feed_url"])

    def test_a_bad_key_is_401_also_where_none_is_needed(self) -> None:
        for bad in ("", "x", f"{self.text}x", self.text[:-1], f"{self.key.prefix}.", "a.b.c", "é"):
            with self.subTest(bad):
                self.assertEqual(status(self, authorization=f"Bearer {bad}"), 401)
                self.assertEqual(status(self, x_api_key=bad), 401)
        self.assertEqual(status(self, authorization=f"Basic {self.text}"), 401)

    def test_two_different_keys_are_refused(self) -> None:
        other = factories.key_of("bob")[1]
        answer = status(self, authorization=f"Bearer {self.text}", x_api_key=other)
        self.assertEqual(answer, 401)

    @override_settings(FACES_REQUIRE_API_KEY=True)
    def test_without_a_key_the_answer_says_how_to_send_one(self) -> None:
        answer = self.client.get("/client/")
        self.assertEqual((answer.status_code, answer["WWW-Authenticate"]), (401, "Bearer"))
        self.assertIn("Authorization: Bearer", answer.json()["detail"])

    @override_settings(FACES_REQUIRE_API_KEY=True)
    def test_the_health_probes_need_none(self) -> None:
        self.assertEqual(self.client.get("/healthcheck").status_code, 200)
        self.assertIn(self.client.get("/readiness").status_code, (200, 503))

    def test_an_expired_key_is_refused(self) -> None:
        text = factories.key_of("alice", expires_at=timezone.now() - timedelta(seconds=1))[1]
        self.assertEqual(status(self, x_api_key=text), 401)

    def test_a_revocation_takes_effect_at_once_and_is_published(self) -> None:
        keys.revoke_key(self.key, actor="test")
        self.assertEqual(status(self, x_api_key=self.text), 401)
        ((_, fields),) = _stream()
        self.assertEqual(fields, {feeds.REVOKED_FIELD: self.key.prefix})
        known = feeds.REVOKED_KEY.format(key_prefix=self.key.prefix)
        self.assertTrue(redis_clients.default().exists(known))

    def test_a_revocation_that_redis_missed_is_published_by_the_sweep_once(self) -> None:
        with mock.patch.object(redis_clients, "default", side_effect=redis.ConnectionError):
            keys.revoke_key(self.key, actor="test")
        self.assertEqual(status(self, x_api_key=self.text), 401)
        keys.publish_revocations()
        keys.publish_revocations()
        self.assertEqual(len(_stream()), 1)

    def test_after_a_rotation_both_keys_work_until_the_old_one_ends(self) -> None:
        _, new = keys.rotate_key(self.key, overlap=timedelta(hours=1), actor="test")
        self.assertEqual([status(self, x_api_key=key) for key in (self.text, new)], [200, 200])
        ApiKey.objects.filter(pk=self.key.pk).update(expiry_date=timezone.now())
        self.assertEqual([status(self, x_api_key=key) for key in (self.text, new)], [401, 200])

    def test_a_feed_token_ends_with_its_key(self) -> None:
        in_an_hour = timezone.now() + timedelta(seconds=feeds.TOKEN_LIFETIME_S)
        for minutes, expected in ((5, 5), (59, 59), (61, 60), (None, 60)):
            with self.subTest(minutes):
                ends_at = None if minutes is None else timezone.now() + timedelta(minutes=minutes)
                text = factories.key_of("alice", expires_at=ends_at)[1]
                url = self.client.get("/client/", headers={"x-api-key": text}).json()["feed_url"]
                claims = jwt.decode(url.partition("token=")[2], options={"verify_signature": False})
                latest = in_an_hour.timestamp() - 60 * (60 - expected)
                self.assertAlmostEqual(claims["exp"], latest, delta=30)

    def test_the_end_of_a_key_that_expires_earlier_than_its_tokens_is_published(self) -> None:
        ends: dict[str, Callable[[], object]] = {
            "its expiry was moved": lambda: ApiKey.objects.filter(pk=self.key.pk).update(
                expiry_date=timezone.now()
            ),
            "it was rotated without overlap": lambda: keys.rotate_key(
                self.key, overlap=timedelta(0), actor="test"
            ),
        }
        for name, end in ends.items():
            with self.subTest(name):
                self.setUp()
                end()
                keys.publish_revocations()
                keys.publish_revocations()
                published = [fields[feeds.REVOKED_FIELD] for _, fields in _stream()]
                self.assertEqual(published.count(self.key.prefix), 1)

    def test_a_revocation_that_redis_lost_is_published_again(self) -> None:
        keys.revoke_key(self.key, actor="test")
        redis_clients.default().flushdb()
        keys.publish_revocations()
        known = feeds.REVOKED_KEY.format(key_prefix=self.key.prefix)
        self.assertTrue(redis_clients.default().exists(known))

    def test_what_is_done_to_keys_is_noted(self) -> None:
        keys.rotate_key(self.key, overlap=timedelta(0), actor="carol")
        keys.revoke_key(self.key, actor="carol")
        actions = AuditEntry.objects.order_by("at").values_list("actor", "action")
        expected = [("test", "create key"), ("carol", "create key"), ("carol", "rotate key")]
        self.assertEqual(list(actions), [*expected, ("carol", "revoke key")])


class CommandTests(TestCase):
    def setUp(self) -> None:
        redis_clients.default().flushdb()

    def run_command(self, name: str, *arguments: str) -> str:
        out = io.StringIO()
        call_command(name, *arguments, stdout=out, stderr=io.StringIO())
        return out.getvalue()

    def test_the_key_stands_alone_on_the_last_line(self) -> None:
        text = self.run_command("create_api_key", "alice").splitlines()[-1]
        self.assertEqual(status(self, x_api_key=text), 200)
        self.assertEqual(Client.objects.get(name="alice").keys.get().scopes[0], "upload")

    def test_unknown_scopes_are_refused(self) -> None:
        with self.assertRaisesRegex(CommandError, "Scopes"):
            self.run_command("create_api_key", "alice", "--scopes", "upload,fly")

    def test_the_anonymous_client_gets_no_key(self) -> None:
        with self.assertRaises(CommandError):
            self.run_command("create_api_key", "anonymous")

    def test_rotation_makes_a_key_like_the_old_one(self) -> None:
        old, _ = factories.key_of("alice", ["read"])
        self.run_command("create_api_key", "alice", "--rotate", old.prefix)
        scopes = ApiKey.objects.order_by("created").values_list("scopes", flat=True)
        self.assertEqual(list(scopes), [["read"], ["read"]])

    def test_a_key_of_another_client_is_not_rotated(self) -> None:
        old, _ = factories.key_of("alice")
        with self.assertRaises(CommandError):
            self.run_command("create_api_key", "bob", "--rotate", old.prefix)

    def test_a_key_is_revoked_by_its_prefix_or_whole(self) -> None:
        for whole in (False, True):
            key, text = factories.key_of("alice")
            self.run_command("revoke_api_key", text if whole else key.prefix)
            self.assertEqual(status(self, x_api_key=text), 401)

    def test_revoking_what_is_not_there_says_so(self) -> None:
        with self.assertRaisesRegex(CommandError, "no key nobody"):
            self.run_command("revoke_api_key", "nobody")


def _stream() -> Any:
    return redis_clients.default().xrange(feeds.STREAM)
