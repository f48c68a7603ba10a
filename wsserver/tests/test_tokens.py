"""Private feeds: a token opens one client's events, and nothing else does."""

import asyncio
import time
from typing import Any
from unittest import mock
from uuid import uuid4

import jwt

from wire import feeds
from wire.events import STREAM, Outcome, from_entry
from wsserver.delivery import replay as catch_up
from wsserver.delivery.closing import REFUSED
from wsserver.request.auth import TokenVerifier
from wsserver.tests.support import SETTINGS, ServerTestCase, listening, received, received_ids

KEY = SETTINGS.verifier.signing_key
ALICE, BOB = "7", "8"


def token(signed_with: bytes = KEY, *, algorithm: str = feeds.ALGORITHM, **changes: Any) -> str:
    """A good token of Alice's, with these claims changed; None takes one away."""
    claims = {
        "aud": feeds.AUDIENCE,
        "exp": time.time() + 60,
        feeds.OWNER_CLAIM: ALICE,
        feeds.KEY_CLAIM: "abcd1234",
        **changes,
    }
    given = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(given, signed_with, algorithm=algorithm)


class PrivateFeeds(ServerTestCase):
    def revoke(self, key_prefix: str, *, told: bool = True) -> None:
        """As the backend does it."""
        self.redis.set(feeds.REVOKED_KEY.format(key_prefix=key_prefix), "1")
        if told:
            self.redis.xadd(STREAM, {feeds.REVOKED_FIELD: key_prefix})

    async def test_everyone_hears_their_own_and_nothing_else(self) -> None:
        async with (
            self.serving() as address,
            listening(address) as anybody,
            listening(address, f"?token={token()}") as alice,
            listening(address, f"?token={token(sub=BOB)}") as bob,
        ):
            theirs = self.publish(owner=ALICE)
            others = self.publish(owner=BOB)
            shared = self.publish()
            self.assertEqual((await received(alice))["submission_id"], theirs)
            self.assertEqual((await received(bob))["submission_id"], others)
            self.assertEqual((await received(anybody))["submission_id"], shared)
            own = self.publish(owner=ALICE)
            self.assertEqual((await received(alice))["submission_id"], own)

    async def test_the_past_of_others_is_not_replayed(self) -> None:
        async with self.serving() as address:
            self.publish(owner=BOB)
            mine = self.publish(owner=ALICE)
            async with listening(address, f"?token={token()}&since=0") as alice:
                self.assertEqual((await received(alice))["submission_id"], mine)

    async def test_the_past_of_others_is_not_even_read_for_a_replay(self) -> None:
        for _ in range(20):
            self.publish(owner=BOB)
        own = self.publish()
        read = mock.Mock(wraps=from_entry)
        async with self.serving() as address:
            with mock.patch.object(catch_up, "from_entry", read):
                async with listening(address, "?since=0") as nobody:
                    self.assertEqual(await received_ids(nobody, 1), [own])
        self.assertEqual(read.call_count, 1)

    async def test_nobody_learns_by_an_id_that_anothers_submission_exists(self) -> None:
        async with self.serving() as address:
            ended = self.publish(owner=BOB)
            waiting = str(uuid4())
            async with (
                listening(address, f"?token={token()}&submission={ended}") as after,
                listening(address, f"?token={token()}&submission={waiting}") as before,
                listening(address, f"?submission={ended}") as anybody,
                listening(address, f"?token={token()}&outcomes=all") as alice,
            ):
                self.publish(owner=BOB, submission_id=waiting)
                marker = self.publish(owner=ALICE)
                self.assertEqual((await received(alice))["submission_id"], marker)
                for client in (after, before, anybody):
                    await (await client.ping())  # answered: still open, and nothing came
                    with self.assertRaises(TimeoutError):
                        async with asyncio.timeout(0.05):
                            await client.recv()

    async def test_the_owner_is_told_of_one_submission(self) -> None:
        async with self.serving() as address:
            mine = self.publish(Outcome.FAILED, owner=ALICE)
            async with listening(address, f"?token={token()}&submission={mine}") as alice:
                self.assertEqual((await received(alice))["outcome"], "failed")
                await self.assert_closed(alice, 1000, "submission finished")

    async def test_a_listener_is_dropped_when_its_token_ends(self) -> None:
        async with (
            self.serving() as address,
            listening(address, f"?token={token()}") as stays,
            listening(address, f"?token={token(exp=time.time() + 1.2)}") as client,
        ):
            mine = self.publish(owner=ALICE)
            self.assertEqual((await received(client))["submission_id"], mine)
            await self.assert_closed(client, REFUSED, "the token has expired")
            self.publish(owner=ALICE)
            await received(stays), await received(stays)

    async def test_a_forged_or_expired_token_is_refused_with_code_and_reason(self) -> None:
        forged = "the token is not valid"
        bad = {
            token(exp=time.time() - 1): "the token has expired",
            token(b"another key, which is also long enough"): forged,
            token(aud="faces-images"): forged,
            token(aud=None): forged,
            token(exp=None): forged,
            token(sub=None): forged,
            token(key=None): forged,
            token(sub=7): forged,
            token(key=""): forged,
            token(nbf=time.time() + 3600): forged,
            token(algorithm="HS384"): forged,
            jwt.encode({"aud": feeds.AUDIENCE}, "", algorithm="none"): forged,
            token()[:-2]: forged,
            "": forged,
            "x.y.z": forged,
        }
        async with self.serving() as address:
            for text, reason in bad.items():
                with self.subTest(reason=reason, token=text[:20]):
                    async with listening(address, f"?token={text}") as client:
                        self.assertEqual(await self.assert_closed(client, REFUSED, reason), [])

    async def test_where_keys_are_needed_nobody_listens_without_a_token(self) -> None:
        verifier = TokenVerifier(KEY, token_required=True)
        async with self.serving(verifier=verifier) as address, listening(address) as client:
            await self.assert_closed(client, REFUSED, "a token is needed")

    async def test_the_listeners_of_a_revoked_key_are_dropped_and_no_others(self) -> None:
        async with (
            self.serving() as address,
            listening(address, f"?token={token()}") as dropped,
            listening(address, f"?token={token(key='other123')}") as kept,
        ):
            self.publish(owner=ALICE)
            await received(dropped), await received(kept)
            self.revoke("abcd1234")
            await self.assert_closed(dropped, REFUSED, "the API key was revoked")
            self.publish(owner=ALICE)
            await received(kept)

    async def test_a_token_of_a_revoked_key_opens_nothing_any_more(self) -> None:
        for told in (True, False):
            async with self.serving() as address:
                self.revoke("abcd1234", told=told)
                async with listening(address, f"?token={token()}") as client:
                    await self.assert_closed(client, REFUSED, "the API key was revoked")
            self.redis.flushall()

    async def test_a_private_listener_survives_redis_going_and_coming(self) -> None:
        async with self.serving() as address, listening(address, f"?token={token()}") as alice:
            self.publish(owner=ALICE)
            await received(alice)
            self.redis_server.restart()
            mine = self.publish(owner=ALICE)
            self.assertEqual((await received(alice))["submission_id"], mine)
