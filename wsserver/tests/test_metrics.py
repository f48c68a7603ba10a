"""The metrics that the server reports."""

import asyncio
from typing import Any

from wire import metrics
from wsserver.metrics import Counters, MetricsReporter
from wsserver.stream.redis_stream import Stream
from wsserver.tests.base import PATIENCE_S, ServerTestCase, listening, received


class MetricsTests(ServerTestCase):
    def connections(self) -> list[str]:
        """The gauge of each running server."""
        return [str(self.redis.get(key)) for key in self.redis.scan_iter("faces:wsserver:*")]

    def counted(self, name: str) -> int:
        number: Any = self.redis.hget(metrics.HASH, name)
        return int(number or 0)

    async def eventually(self, found: Any, expected: Any) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while found() != expected:
                await asyncio.sleep(0.01)

    async def test_connections_and_sent_events_are_reported(self) -> None:
        async with (
            self.serving(publish_s=0.02) as address,
            listening(address) as first,
            listening(address) as second,
        ):
            await self.eventually(self.connections, ["2"])
            self.publish()
            await received(first)
            await received(second)
            await self.eventually(lambda: self.counted(metrics.EVENTS_SENT), 2)

    async def test_the_last_report_at_the_end_deletes_the_gauge(self) -> None:
        async with self.serving(publish_s=60) as address, listening(address) as client:
            await self.eventually(self.connections, ["0"])
            self.publish()
            await received(client)
        self.assertEqual(self.connections(), [])
        self.assertEqual(self.redis.smembers(metrics.SERVERS), set())
        self.assertEqual(self.counted(metrics.EVENTS_SENT), 1)

    async def test_the_gauge_expires(self) -> None:
        async with self.serving(publish_s=60):
            await self.eventually(self.connections, ["0"])
            (key,) = self.redis.scan_iter("faces:wsserver:*")
            self.assertLessEqual(self.redis.ttl(key), metrics.SERVER_TTL_S)
            self.assertGreater(self.redis.ttl(key), 0)

    async def test_what_could_not_be_reported_is_reported_later_and_once(self) -> None:
        counters = Counters(connections=1, events_sent=5, slow_consumers=2)
        async with Stream(self.redis_server.url, connections=1) as stream:
            reporter = MetricsReporter(stream, lambda: counters, every_s=60)
            self.redis_server.stop()
            await reporter.report()
            self.redis_server.start()
            await reporter.report()
            await reporter.report()
        self.assertEqual(self.counted(metrics.EVENTS_SENT), 5)
        self.assertEqual(self.counted(metrics.SLOW_CONSUMERS), 2)

    async def test_a_counter_that_holds_no_number_begins_anew_and_no_other_counts_twice(
        self,
    ) -> None:
        counters = Counters(connections=1, events_sent=5, slow_consumers=2)
        self.redis.hset(metrics.HASH, metrics.EVENTS_SENT, "no number")
        async with Stream(self.redis_server.url, connections=1) as stream:
            reporter = MetricsReporter(stream, lambda: counters, every_s=60)
            await reporter.report()
            counters = Counters(connections=1, events_sent=8, slow_consumers=2)
            await reporter.report()
        self.assertEqual(self.counted(metrics.EVENTS_SENT), 3)
        self.assertEqual(self.counted(metrics.SLOW_CONSUMERS), 2)

    async def test_slow_consumers_are_counted(self) -> None:
        settings = {"publish_s": 0.02, "send_buffer_bytes": 4096}
        async with self.serving(**settings) as address, listening(address, max_queue=1):
            for _ in range(40):
                self.publish(padding=100_000)
            await self.eventually(lambda: self.counted(metrics.SLOW_CONSUMERS), 1)
