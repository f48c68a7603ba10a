"""Tells Redis how this server is doing, for `GET /metrics` of the backend."""

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
    """The reporter at one moment; all but the first only grow."""

    connections: int = 0
    events_sent: int = 0
    slow_consumers: int = 0


class MetricsReporter:
    """Publishes what `read` gives. Redis being away changes nothing here: it is told later."""

    def __init__(self, stream: Stream, read: Callable[[], Counters], *, every_s: float) -> None:
        self._stream = stream
        self._read = read
        self._every_s = every_s
        self._reported = Counters()
        # Two servers may have the same address, in two containers, and one may be started again.
        self._instance = secrets.token_hex(8)

    async def run(self) -> None:
        """Publish until cancelled."""
        while True:
            await self.report()
            await asyncio.sleep(self._every_s)

    async def report(self) -> None:
        """Publish once: the listeners as they are, of the others what has come since last time."""
        now = self._read()
        since = {
            metrics.EVENTS_SENT: now.events_sent - self._reported.events_sent,
            metrics.SLOW_CONSUMERS: now.slow_consumers - self._reported.slow_consumers,
        }
        try:
            await self._stream.report_server(self._instance, now.connections, since)
            self._reported = now
        except RedisErrors as error:
            logger.debug("the reporter are told later: %s", error)

    async def end(self) -> None:
        """The last reporter, and no more of this server."""
        await self.report()
        try:
            await self._stream.remove_server(self._instance)
        except RedisErrors as error:
            logger.debug("Redis forgets this server by itself: %s", error)
