"""Redis stops, is killed, is emptied, restarts: no event and no connection is lost."""

import asyncio
from datetime import timedelta

from wire.events import STREAM
from wsserver.tests.base import (
    ENDED_AT,
    PATIENCE_S,
    ServerTestCase,
    http,
    listening,
    received_ids,
)


class RedisFaults(ServerTestCase):
    append_only = True

    async def test_clients_stay_connected_and_miss_nothing_when_redis_restarts(self) -> None:
        async with self.serving() as address, listening(address) as alice:
            sent = []
            for _ in range(3):
                sent.append(self.publish())
                self.redis_server.restart()
                sent.append(self.publish())
            self.assertEqual(await received_ids(alice, 6), sent)
            await self.assert_silent(alice)

    async def test_events_appended_while_redis_is_unreachable_are_sent_later(self) -> None:
        async with self.serving() as address, listening(address) as alice:
            self.redis_server.kill()
            await self._until_ready(address, 503)
            self.redis_server.start()
            sent = [self.publish() for _ in range(5)]
            self.assertEqual(await received_ids(alice, 5), sent)

    async def test_a_dropped_connection_to_redis_loses_nothing(self) -> None:
        async with self.serving() as address, listening(address) as alice:
            sent = []
            for _ in range(20):
                sent.append(self.publish())
                self.redis.client_kill_filter(skipme=True, _type="normal")
            self.assertEqual(await received_ids(alice, 20), sent)

    async def test_after_redis_was_emptied_new_events_are_sent_and_old_ones_not_again(self) -> None:
        async with self.serving() as address, listening(address) as alice:
            old = [self.publish() for _ in range(5)]
            self.assertEqual(await received_ids(alice, 5), old)
            self.redis_server.flush()
            for submission_id in old:
                self.publish(submission_id=submission_id)
            new = [self.publish() for _ in range(2)]
            self.assertEqual(await received_ids(alice, 2), new)

    async def test_a_retried_submission_is_sent_again(self) -> None:
        async with self.serving() as address, listening(address) as alice:
            id = self.publish()
            later = ENDED_AT + timedelta(seconds=1)
            self.publish(submission_id=id, ended_at=later)
            self.assertEqual(await received_ids(alice, 2), [id, id])

    async def test_events_from_before_the_start_are_not_sent_when_appended_again(
        self,
    ) -> None:
        old = [self.publish() for _ in range(5)]
        async with self.serving() as address, listening(address) as alice:
            self.redis_server.flush()
            for submission_id in old:
                self.publish(submission_id=submission_id)
            await self.assert_silent(alice)

    async def test_events_with_lower_ids_are_sent_after_redis_was_emptied(self) -> None:
        """Redis was emptied, and its clock set back."""
        async with self.serving() as address, listening(address) as alice:
            first = self.publish()
            self.assertEqual(await received_ids(alice, 1), [first])
            self.redis_server.flush()
            early = [self.publish(at="1000-0"), self.publish(at="2000-0")]
            self.assertEqual(await received_ids(alice, 2), early)
            more = self.publish(at="3000-0")
            self.assertEqual(await received_ids(alice, 1), [more])

    async def test_a_client_with_since_receives_lower_ids_after_redis_was_emptied(self) -> None:
        self.publish()
        async with (
            self.serving() as address,
            listening(address, f"?since={self.newest_id()}") as alice,
        ):
            await self.assert_silent(alice)
            self.redis_server.flush()
            early = self.publish(at="1000-0")
            self.assertEqual(await received_ids(alice, 1), [early])

    async def test_a_key_of_another_type_makes_it_unready_until_it_is_deleted(self) -> None:
        async with self.serving() as address, listening(address) as alice:
            self.redis.set(STREAM, "not a stream")
            await self._until_ready(address, 503)
            self.redis.delete(STREAM)
            await self._until_ready(address, 200)
            await self.assert_silent(alice)

    async def test_the_server_may_start_before_redis(self) -> None:
        history = self.publish()
        self.redis_server.stop()
        async with self.serving() as address, listening(address) as alice:
            self.redis_server.start()
            sent = self.publish()
            self.assertEqual(await received_ids(alice, 1), [sent])
            self.assertNotEqual(sent, history)

    async def test_it_is_alive_without_redis_but_not_ready(self) -> None:
        async with self.serving() as address:
            await self._until_ready(address, 200)
            self.redis_server.stop()
            await self._until_ready(address, 503)
            status, _headers, body = await http(address, "/healthcheck")
            self.assertEqual((status, body), (200, "OK"))
            self.redis_server.start()
            await self._until_ready(address, 200)

    async def _until_ready(self, address: str, expected: int) -> None:
        """Wait until the readiness probe answers with this status."""
        async with asyncio.timeout(PATIENCE_S):
            while (await http(address, "/healthcheck?ready"))[0] != expected:
                await asyncio.sleep(0.01)
