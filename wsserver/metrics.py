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
class Figures:
    """The numbers at one moment; all but the first only grow."""

    listeners: int = 0
    frames_sent: int = 0
    slow_dropped: int = 0


class Numbers:
    """Publishes what `read` gives. Redis being away changes nothing here: it is told later."""

    def __init__(self, stream: Stream, read: Callable[[], Figures], *, every_s: float) -> None:
        self._stream = stream
        self._read = read
        self._every_s = every_s
        self._told = Figures()
        # Two servers may have the same address, in two containers, and one may be started again.
        self._instance = secrets.token_hex(8)

    async def run(self) -> None:
        """Publish until cancelled."""
        while True:
            await self.tell()
            await asyncio.sleep(self._every_s)

    async def tell(self) -> None:
        """Publish once: the listeners as they are, of the others what has come since last time."""
        now = self._read()
        since = {
            metrics.FRAMES_SENT: now.frames_sent - self._told.frames_sent,
            metrics.SLOW_DROPPED: now.slow_dropped - self._told.slow_dropped,
        }
        try:
            await self._stream.note_server(self._instance, now.listeners, since)
            self._told = now
        except RedisErrors as error:
            logger.debug("the numbers are told later: %s", error)

    async def end(self) -> None:
        """The last numbers, and no more of this server."""
        await self.tell()
        try:
            await self._stream.forget_server(self._instance)
        except RedisErrors as error:
            logger.debug("Redis forgets this server by itself: %s", error)
