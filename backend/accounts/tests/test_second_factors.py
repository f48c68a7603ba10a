"""Secrets of second factors at rest, codes used at the same time, and sessions that are older."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from importlib import import_module
from io import StringIO
from typing import Any
from unittest import mock

from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP
from django.apps import apps
from django.conf import settings
from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client, TransactionTestCase, override_settings

from backend.accounts.tests.test_accounts import (
    _BROWSER,
    _PASSWORD,
    _SECRET,
    AccountCase,
    code,
)
from tests.support.at_once import at_once

_OTHER_KEY = "another key, as long as a key has to be"


class EncryptionTests(AccountCase):
    def setUp(self) -> None:
        super().setUp()
        TOTP.activate(self.alice, _SECRET)
        self.spare = RecoveryCodes.activate(self.alice).get_unused_codes()

    def stored(self) -> str:
        return json.dumps(list(Authenticator.objects.values_list("data", flat=True)))

    def store_as_before(self) -> str:
        """The rows as older versions wrote them; returns the seed."""
        totp, recovery = self.row("totp"), self.row("recovery_codes")
        seed = str(RecoveryCodes.generate_seed())
        totp.data, recovery.data = {"secret": _SECRET}, {"seed": seed, "used_mask": 1}
        totp.save()
        recovery.save()
        return seed

    def row(self, kind: str) -> Any:
        return Authenticator.objects.get(user=self.alice, type=kind)

    def enters(self, sent: str) -> int:
        cache.clear()
        self.client = Client(headers=_BROWSER)
        self.log_in()
        answer = self.client.post("/accounts/second-factor/authenticate", {"code": sent})
        return int(answer.status_code)

    def another_key(self, *fallbacks: str) -> AbstractContextManager[Any]:
        return override_settings(SECRET_KEY=_OTHER_KEY, SECRET_KEY_FALLBACKS=list(fallbacks))

    def test_the_database_alone_opens_no_account(self) -> None:
        self.assertNotIn(_SECRET, self.stored())
        self.assertEqual(self.stored().count("fernet:"), 2)
        self.assertEqual((self.enters(code()), self.enters(self.spare[3])), (302, 302))

    def test_rows_of_older_versions_work_and_the_migration_encrypts_them(self) -> None:
        seed = self.store_as_before()
        spare = RecoveryCodes(self.row("recovery_codes")).get_unused_codes()
        self.assertEqual((self.enters(code()), self.enters(spare[0])), (302, 302))
        migration = import_module("backend.accounts.migrations.0001_encrypt_second_factors")
        migration._encrypt(apps, mock.Mock(connection=connection))
        self.assertNotIn(_SECRET, self.stored())
        self.assertNotIn(seed, self.stored())
        self.assertEqual((self.enters(code()), self.enters(spare[0])), (302, 200), "used is used")
        self.assertEqual(self.enters(spare[1]), 302)

    def test_a_change_of_the_key_keeps_second_factors(self) -> None:
        with self.another_key(settings.SECRET_KEY):
            self.assertEqual((self.enters(code()), self.enters(self.spare[0])), (302, 302))
            call_command("encrypt_second_factors", verbosity=0, stdout=StringIO())
        with self.another_key():
            self.assertEqual((self.enters(code()), self.enters(self.spare[1])), (302, 302))

    def test_a_lost_key_lets_none_in_and_says_so(self) -> None:
        with self.another_key(), self.assertLogs("backend.accounts", "ERROR") as logs:
            for sent in (code(), self.spare[0], "000000"):
                self.assertEqual(self.enters(sent), 503)
            self.assertFalse(self.is_in())
            with self.assertRaisesRegex(CommandError, "DJANGO_SECRET_KEY_FALLBACKS"):
                call_command("encrypt_second_factors")
        self.assertIn("DJANGO_SECRET_KEY_FALLBACKS", logs.output[0])
        self.assertEqual(self.enters(code()), 302, "with the key all is as before")


class OlderSessionTests(AccountCase):
    """Of a user who has set up a second factor in another session since."""

    PAGES = ("", "/totp/deactivate", "/recovery-codes", "/recovery-codes/generate")
    MORE = ("/recovery-codes/download", "/passkeys", "/passkeys/add", "/passkeys/keys/1/remove")

    def setUp(self) -> None:
        super().setUp()
        self.log_in()
        TOTP.activate(self.alice, _SECRET)
        RecoveryCodes.activate(self.alice)
        # With the password alone, which its thief has too.
        self.client.post("/accounts/reauthenticate", {"password": _PASSWORD})

    def test_it_neither_shows_codes_nor_changes_the_second_factor(self) -> None:
        for path in (*self.PAGES, *self.MORE):
            url = f"/accounts/second-factor{path}"
            for answer in (self.client.get(url), self.client.post(url)):
                asks = "/accounts/second-factor/reauthenticate?next="
                self.assertTrue(answer.headers.get("Location", "").startswith(asks), url)
        self.assertEqual(Authenticator.objects.filter(user=self.alice).count(), 2)

    def test_with_the_second_factor_it_does(self) -> None:
        answer = self.client.post("/accounts/second-factor/reauthenticate", {"code": code()})
        self.assertEqual(answer.status_code, 302)
        self.assertEqual(self.client.get("/accounts/second-factor").status_code, 200)
        self.assertEqual(self.client.get("/accounts/second-factor/recovery-codes").status_code, 200)


@override_settings(FACES_LOGIN_RATE=(100, 86_400))
class AtTheSameTimeTests(TransactionTestCase):
    """What works once works once, also for requests that arrive together."""

    def setUp(self) -> None:
        cache.clear()
        self.alice = User.objects.create_user("alice", password=_PASSWORD)

    def raced(self, act: Callable[[Client], int], clients: list[Client]) -> list[int]:
        return sorted(at_once([partial(act, client) for client in clients]))

    def with_password(self) -> Client:
        client = Client(headers=_BROWSER)
        client.post("/members/login/", {"username": "alice", "password": _PASSWORD})
        return client

    def send(self, sent: str) -> Callable[[Client], int]:
        url = "/accounts/second-factor/authenticate"
        return lambda client: int(client.post(url, {"code": sent}).status_code)

    def test_a_code_lets_one_in(self) -> None:
        TOTP.activate(self.alice, _SECRET)
        clients = [self.with_password() for _ in range(4)]
        self.assertEqual(self.raced(self.send(code()), clients), [200, 200, 200, 302])

    def test_a_recovery_code_lets_one_in(self) -> None:
        TOTP.activate(self.alice, _SECRET)
        spare = RecoveryCodes.activate(self.alice).get_unused_codes()[0]
        clients = [self.with_password() for _ in range(4)]
        self.assertEqual(self.raced(self.send(spare), clients), [200, 200, 200, 302])

    def test_different_recovery_codes_are_all_used_up(self) -> None:
        TOTP.activate(self.alice, _SECRET)
        spare = RecoveryCodes.activate(self.alice).get_unused_codes()[:3]
        left = list(spare)
        clients = [self.with_password() for _ in spare]
        self.raced(lambda client: self.send(left.pop())(client), clients)
        row = Authenticator.objects.get(type=Authenticator.Type.RECOVERY_CODES)
        self.assertFalse(set(spare) & set(RecoveryCodes(row).get_unused_codes()))

    def test_a_link_sets_one_password(self) -> None:
        from backend.accounts import links

        path = "/" + links.to_set_password(self.alice).partition("//")[2].partition("/")[2]
        clients = [Client(headers=_BROWSER) for _ in range(4)]
        forms = {client: client.get(path)["Location"] for client in clients}
        chosen = {client: f"staple of horse {i}" for i, client in enumerate(clients)}

        def set_password(client: Client) -> int:
            new = chosen[client]
            sent = client.post(forms[client], {"password1": new, "password2": new})
            return int(sent.status_code)

        statuses = self.raced(set_password, clients)
        self.assertEqual(statuses.count(302), 1, statuses)
        self.alice.refresh_from_db()
        self.assertEqual([self.alice.check_password(new) for new in chosen.values()].count(True), 1)
