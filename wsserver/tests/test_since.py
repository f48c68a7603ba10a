"""`since=`: a client that reconnects receives the events it missed."""

import asyncio
import threading
from unittest import mock

from wire.events import STREAM, Outcome, parse_event_id
from wsserver.delivery.broadcaster import Broadcaster, Subscriber
from wsserver.delivery.closing import Closer
from wsserver.delivery.replay import GAP_MESSAGE, Replay
from wsserver.request.auth import Claims
from wsserver.request.query import Since
from wsserver.stream.deduplication import DeduplicationWindow
from wsserver.stream.reader import StreamReader
from wsserver.stream.redis_stream import Stream
from wsserver.tests.base import (
    PATIENCE_S,
    ServerTestCase,
    client_that_never_reads,
    listening,
    received,
    received_ids,
)


class SinceTests(ServerTestCase):
    async def test_missed_events_are_replayed_and_then_live_ones_sent(self) -> None:
        self.publish()
        seen = self.newest_id()
        missed = [self.publish() for _ in range(250)]
        async with self.serving() as address, listening(address, f"?since={seen}") as alice:
            self.assertEqual(await received_ids(alice, 250), missed)
            await self.assert_silent(alice)

    async def test_a_replay_neither_skips_nor_repeats_while_events_keep_coming(self) -> None:
        sent = [self.publish() for _ in range(300)]
        stop = threading.Event()

        def keep_coming() -> None:
            while not stop.is_set():
                sent.append(self.publish())

        async with self.serving() as address:
            coming = asyncio.create_task(asyncio.to_thread(keep_coming))
            async with asyncio.TaskGroup() as group:
                reading = [group.create_task(_read(address, "?since=0", 600)) for _ in range(5)]
            stop.set()
            await coming
        for task in reading:
            self.assertEqual(task.result(), sent[:600])

    async def test_since_takes_milliseconds(self) -> None:
        first, second = self.publish(at="1000-0"), self.publish(at="2000-0")
        async with self.serving() as address:
            async with listening(address, "?since=0") as alice:
                self.assertEqual(await received_ids(alice, 2), [first, second])
            async with listening(address, "?since=1500") as bob:
                self.assertEqual(await received_ids(bob, 1), [second])

    async def test_a_future_moment_replays_nothing(self) -> None:
        self.publish()
        async with self.serving() as address, listening(address, f"?since={10**15}") as alice:
            await self.assert_silent(alice)

    async def test_outcomes_apply_to_the_replay_too(self) -> None:
        self.publish()
        failed = self.publish(Outcome.FAILED)
        self.publish(Outcome.NO_FACES)
        async with (
            self.serving() as address,
            listening(address, "?since=0&outcomes=failed") as alice,
        ):
            self.assertEqual(await received_ids(alice, 1), [failed])
            self.publish()
            live = self.publish(Outcome.FAILED)
            self.assertEqual(await received_ids(alice, 1), [live])

    async def test_a_notice_comes_first_if_events_were_trimmed(self) -> None:
        self.publish()
        seen = self.newest_id()
        self.publish()
        kept = self.publish()
        self.redis.xtrim(STREAM, maxlen=1, approximate=False)
        notice = {"message": GAP_MESSAGE, "oldest_event_id": self.newest_id()}
        async with self.serving() as address:
            for since in (seen, "0"):
                async with listening(address, f"?since={since}") as alice:
                    self.assertEqual(await received(alice), notice)
                    self.assertEqual(await received_ids(alice, 1), [kept])
            async with listening(address, f"?since={self.newest_id()}") as bob:
                await self.assert_silent(bob)

    async def test_an_id_of_a_lost_stream_gives_a_notice_and_every_event(self) -> None:
        there = self.publish(at="1000-0")
        async with self.serving() as address, listening(address, "?since=999999-0") as alice:
            notice = {"message": GAP_MESSAGE, "oldest_event_id": "1000-0"}
            self.assertEqual(await received(alice), notice)
            self.assertEqual(await received_ids(alice, 1), [there])
            await self.assert_silent(alice)

    async def test_the_notice_of_an_empty_stream_has_no_oldest_event(self) -> None:
        async with self.serving() as address:
            async with listening(address, "?since=999999-0") as alice:
                notice = {"message": GAP_MESSAGE, "oldest_event_id": None}
                self.assertEqual(await received(alice), notice)
                await self.assert_silent(alice)
            async with listening(address, "?since=0-0") as bob:
                await received(bob)

    async def test_the_largest_possible_id_gives_a_notice(self) -> None:
        self.publish()
        largest = f"{2**64 - 1}-{2**64 - 1}"
        async with self.serving() as address, listening(address, f"?since={largest}") as alice:
            self.assertEqual((await received(alice))["message"], GAP_MESSAGE)
            await received(alice)
            await self.assert_silent(alice)

    async def test_after_a_notice_events_that_are_appended_again_are_sent(self) -> None:
        async with self.serving() as address, listening(address) as other:
            self.publish()
            seen = self.newest_id()
            missed = self.publish()
            await received_ids(other, 2)
            self.redis_server.flush()
            async with listening(address, f"?since={seen}") as alice:
                self.assertEqual((await received(alice))["message"], GAP_MESSAGE)
                self.publish(submission_id=missed)
                self.assertEqual(await received_ids(alice, 1), [missed])
            await self.assert_silent(other)

    async def test_it_waits_while_redis_is_away(self) -> None:
        missed = [self.publish(), self.publish()]
        self.redis_server.stop()
        async with self.serving() as address, listening(address, "?since=0") as alice:
            self.redis_server.start()
            self.assertEqual(await received_ids(alice, 2), missed)
            await self.assert_silent(alice)

    async def test_a_replay_larger_than_the_send_buffer_waits_for_the_client(self) -> None:
        missed = [self.publish(padding=2000) for _ in range(1000)]
        async with (
            self.serving(send_buffer_bytes=8192) as address,
            listening(address, "?since=0") as alice,
        ):
            self.assertEqual(await received_ids(alice, 1000), missed)

    async def test_a_client_that_does_not_read_its_replay_is_disconnected(self) -> None:
        for _ in range(300):
            self.publish(padding=20_000)
        limits = {"max_connections": 1, "send_buffer_bytes": 8192, "ping_timeout_s": 0.2}
        async with self.serving(**limits) as address:
            silent = await client_that_never_reads(address, "?since=0")
            self.addCleanup(silent.close)
            await self.assert_place_is_free(address)


class ReaderBehindTests(ServerTestCase):
    async def test_a_replay_waits_for_the_reader_that_has_not_read_the_event_of_since(self) -> None:
        """A client received the event from another server, which was faster."""
        self.publish()
        since = Since(parse_event_id(self.newest_id()), is_moment=False)
        closer = Closer(grace_s=1)
        broadcaster = Broadcaster(closer, send_buffer_bytes=1)
        subscriber = Subscriber(mock.Mock(), lambda entry: True, Claims())
        broadcaster.add(subscriber)
        async with Stream(self.redis_server.url, connections=1) as stream:
            reader = StreamReader(
                stream,
                window=DeduplicationWindow(10),
                started_ms=0,
                on_event=broadcaster.publish,
                on_revoked=broadcaster.revoke,
            )
            reader.current.set()
            replay = Replay(stream, reader, broadcaster, closer, 1, read_timeout_s=1)
            serving = asyncio.create_task(replay.serve(subscriber, since))
            await asyncio.sleep(0.1)
            self.assertFalse(subscriber.is_live)
            await reader.catch_up()
            await asyncio.wait_for(serving, PATIENCE_S)
        self.assertTrue(subscriber.is_live)
        self.assertEqual(broadcaster.events_sent, 0)


async def _read(address: str, query: str, count: int) -> list[str]:
    async with listening(address, query) as client:
        return await received_ids(client, count)
