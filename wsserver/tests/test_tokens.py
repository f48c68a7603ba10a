"""Private feeds: events of a client are sent with a token of that client only."""

import asyncio
import time
from typing import Any
from unittest import mock
from urllib.parse import parse_qs
from uuid import uuid4

import jwt
from websockets.exceptions import InvalidStatus

from wire import feeds
from wire.events import STREAM, Outcome, from_entry
from wsserver.delivery import replay
from wsserver.delivery.closing import REFUSED
from wsserver.request.auth import TokenVerifier
from wsserver.tests.base import SETTINGS, ServerTestCase, listening, received, received_ids

KEY = SETTINGS.verifier.signing_key
ALICE, BOB = "7", "8"


def token(signed_with: bytes = KEY, *, algorithm: str = feeds.ALGORITHM, **changes: Any) -> str:
    """A valid token of Alice, with these claims changed; None removes one."""
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
    def revoke(self, key_prefix: str, *, published: bool = True) -> None:
        """Revoke as the backend does."""
        self.redis.set(feeds.REVOKED_KEY.format(key_prefix=key_prefix), "1")
        if published:
            self.redis.xadd(STREAM, {feeds.REVOKED_FIELD: key_prefix})

    async def test_each_connection_receives_events_of_its_owner_only(self) -> None:
        async with (
            self.serving() as address,
            listening(address) as public,
            listening(address, f"?token={token()}") as alice,
            listening(address, f"?token={token(sub=BOB)}") as bob,
        ):
            theirs = self.publish(owner=ALICE)
            others = self.publish(owner=BOB)
            shared = self.publish()
            self.assertEqual((await received(alice))["submission_id"], theirs)
            self.assertEqual((await received(bob))["submission_id"], others)
            self.assertEqual((await received(public))["submission_id"], shared)
            own = self.publish(owner=ALICE)
            self.assertEqual((await received(alice))["submission_id"], own)

    async def test_the_connections_of_a_client_are_limited(self) -> None:
        mine, bobs = f"?token={token()}", f"?token={token(sub=BOB)}"
        limits = {"max_connections_per_client": 2, "max_connections_per_address": 1}
        async with (
            self.serving(**limits) as address,
            listening(address, mine),
            listening(address, mine),
        ):
            with self.assertRaises(InvalidStatus) as refused:
                await listening(address, mine)
            self.assertEqual(refused.exception.response.status_code, 503)
            self.assertIn("Retry-After", refused.exception.response.headers)
            async with listening(address, bobs), listening(address, bobs):
                "Other clients at the same address have their own."

    async def test_an_invalid_token_counts_for_no_client(self) -> None:
        forged = token(b"another key, as long as the real one is")
        async with (
            self.serving(max_connections_per_client=1) as address,
            listening(address, f"?token={token()}"),
            listening(address, f"?token={forged}") as client,
        ):
            await self.assert_closed(client, REFUSED, "the token is not valid")

    async def test_links_of_private_events_are_signed_when_they_are_sent(
        self,
    ) -> None:
        async with (
            self.serving() as address,
            listening(address, f"?token={token()}") as alice,
            listening(address) as public,
        ):
            mine = self.publish(owner=ALICE)
            self.publish()
            async with (
                listening(address, f"?token={token()}&since=0") as later,
                listening(address, f"?token={token()}&submission={mine}") as waiting,
            ):
                frames = [await received(each) for each in (alice, later, waiting)]
                self.assertNotIn("signature", (await received(public))["image_url"])
        for frame in frames:
            url, _, query = frame["image_url"].partition("?")
            self.assertEqual(list(parse_qs(query)), ["expires", "signature"])
            self.assertTrue(url.endswith(f"/static/{mine}.jpg"))
        self.assertNotIn("signature", str(self.redis.xrange(STREAM)))

    async def test_events_of_other_owners_are_not_replayed(self) -> None:
        async with self.serving() as address:
            self.publish(owner=BOB)
            mine = self.publish(owner=ALICE)
            async with listening(address, f"?token={token()}&since=0") as alice:
                self.assertEqual((await received(alice))["submission_id"], mine)

    async def test_a_replay_does_not_parse_events_of_other_owners(self) -> None:
        for _ in range(20):
            self.publish(owner=BOB)
        own = self.publish()
        read = mock.Mock(wraps=from_entry)
        async with self.serving() as address:
            with mock.patch.object(replay, "from_entry", read):
                async with listening(address, "?since=0") as client:
                    self.assertEqual(await received_ids(client, 1), [own])
        self.assertEqual(read.call_count, 1)

    async def test_a_submission_of_another_owner_looks_like_an_unknown_one(self) -> None:
        async with self.serving() as address:
            ended = self.publish(owner=BOB)
            waiting = str(uuid4())
            async with (
                listening(address, f"?token={token()}&submission={ended}") as after,
                listening(address, f"?token={token()}&submission={waiting}") as before,
                listening(address, f"?submission={ended}") as public,
                listening(address, f"?token={token()}&outcomes=all") as alice,
            ):
                self.publish(owner=BOB, submission_id=waiting)
                marker = self.publish(owner=ALICE)
                self.assertEqual((await received(alice))["submission_id"], marker)
                for client in (after, before, public):
                    await (await client.ping())  # answered: still open, and nothing came
                    with self.assertRaises(TimeoutError):
                        async with asyncio.timeout(0.05):
                            await client.recv()

    async def test_the_owner_receives_the_event_of_one_submission(self) -> None:
        async with self.serving() as address:
            mine = self.publish(Outcome.FAILED, owner=ALICE)
            async with listening(address, f"?token={token()}&submission={mine}") as alice:
                self.assertEqual((await received(alice))["outcome"], "failed")
                await self.assert_closed(alice, 1000, "submission finished")

    async def test_a_connection_is_closed_when_its_token_expires(self) -> None:
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

    async def test_an_invalid_or_expired_token_is_refused_with_4401_and_a_reason(self) -> None:
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

    async def test_a_token_is_required_where_keys_are(self) -> None:
        verifier = TokenVerifier(KEY, token_required=True)
        async with self.serving(verifier=verifier) as address, listening(address) as client:
            await self.assert_closed(client, REFUSED, "a token is needed")

    async def test_a_revocation_closes_the_connections_of_that_key_only(self) -> None:
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

    async def test_a_token_of_a_revoked_key_is_refused(self) -> None:
        for published in (True, False):
            async with self.serving() as address:
                self.revoke("abcd1234", published=published)
                async with listening(address, f"?token={token()}") as client:
                    await self.assert_closed(client, REFUSED, "the API key was revoked")
            self.redis.flushall()

    async def test_a_private_connection_survives_a_restart_of_redis(self) -> None:
        async with self.serving() as address, listening(address, f"?token={token()}") as alice:
            self.publish(owner=ALICE)
            await received(alice)
            self.redis_server.restart()
            mine = self.publish(owner=ALICE)
            self.assertEqual((await received(alice))["submission_id"], mine)
