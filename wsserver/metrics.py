"""Publishes this server's metrics to Redis, for `GET /metrics` of the backend."""

import asyncio
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from wire import metrics
from wsserver.stream.redis_stream import RedisErrors, Stream

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Counters:
    """The values at one moment; all but `connections` only grow."""

    connections: int = 0
    events_sent: int = 0
    slow_consumers: int = 0


class MetricsReporter:
    """Reports what `read` returns. What cannot be reported while Redis is away is added later."""

    def __init__(self, stream: Stream, read: Callable[[], Counters], *, every_s: float) -> None:
        self._stream = stream
        self._read = read
        self._every_s = every_s
        self._reported = Counters()
        # Not the address: two containers may have the same, and a server may be restarted.
        self._instance = secrets.token_hex(8)

    async def run(self) -> None:
        """Report until cancelled."""
        while True:
            await self.report()
            await asyncio.sleep(self._every_s)

    async def report(self) -> None:
        """Report once: the connections as they are, the counters' growth since the last report."""
        now = self._read()
        growth = {
            metrics.EVENTS_SENT: now.events_sent - self._reported.events_sent,
            metrics.SLOW_CONSUMERS: now.slow_consumers - self._reported.slow_consumers,
        }
        try:
            await self._stream.report_server(self._instance, now.connections, growth)
            self._reported = now
        except RedisErrors as error:
            logger.debug("metrics not reported yet: %s", error)

    async def end(self, timeout_s: float = 1.0) -> None:
        """Report a last time and delete this server's gauge, if Redis answers in time."""
        try:
            async with asyncio.timeout(timeout_s):
                await self.report()
                await self._stream.remove_server(self._instance)
        except RedisErrors as error:  # TimeoutError is an OSError.
            logger.debug("this server's gauge expires by itself: %s", error)
