"""The reader of the event stream: hands each event on once, also when Redis fails in between."""

import asyncio
import logging
import random
from collections.abc import Callable, Iterable
from typing import Final

from wire import feeds
from wire.events import BEGINNING, Entry, format_event_id, from_entry
from wsserver.stream.deduplication import DeduplicationWindow
from wsserver.stream.redis_stream import RawEntry, RedisErrors, Stream

logger = logging.getLogger(__name__)

_PAGE: Final = 500
_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 3.0


class StreamReader:
    """The one reader of the stream in this process. It resumes after the last id it read.

    If the newest id of the stream is below that one, Redis was emptied and its clock set back, or
    it restarted from an old snapshot: the reader starts again from the beginning of the stream.
    `on_event` gets each event and whether it was read before under another id.
    """

    def __init__(
        self,
        stream: Stream,
        *,
        window: DeduplicationWindow,
        started_ms: int,
        on_event: Callable[[Entry, bool], None],
        on_revoked: Callable[[str], None],
        link_key: bytes = b"",
    ) -> None:
        self.position = BEGINNING
        """Every entry up to this id has been handed on."""
        self.current = asyncio.Event()
        """Set while everything in the stream has been read."""
        self._stream = stream
        self._window = window
        self._on_event = on_event
        self._on_revoked = on_revoked
        self._link_key = link_key
        # Events older than the process are recorded in the window, but not handed on: no client
        # was connected. If Redis starts after the process, events in between are handed on.
        self._first_ms = started_ms
        self._is_away = False

    async def run(self) -> None:
        """Read until cancelled."""
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                await self.catch_up()
                pause_s = _FIRST_PAUSE_S
                await self._hand_on(await self._stream.wait_after(self.position))
            except RedisErrors as error:
                self._log_outage(error)
                # With jitter, or all instances would reconnect in the same instant.
                await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    async def catch_up(self) -> None:
        """Read to the end of the stream. Raises one of `RedisErrors`."""
        is_behind = True
        while is_behind:
            page = await self._stream.page_after(self.position, _PAGE)
            if page.state.newest < self.position:
                logger.warning("the stream of events was replaced; reading it from its beginning")
                self.position = BEGINNING
                self.current.clear()
                continue
            await self._hand_on(page.entries)
            is_behind = page.full
        if not self.current.is_set():
            logger.info("reading the stream of events from %s", format_event_id(self.position))
        self._first_ms = 0
        self._is_away = False
        self.current.set()

    def _log_outage(self, error: Exception) -> None:
        if not self._is_away:
            logger.warning("Redis is away: %s", error)
        self._is_away = True
        self.current.clear()

    async def _hand_on(self, entries: Iterable[RawEntry]) -> None:
        for raw in entries:
            self._hand_on_one(raw)
            self.position = raw.event_id
            # The sockets are written between two events: a burst would fill every buffer.
            await asyncio.sleep(0)

    def _hand_on_one(self, raw: RawEntry) -> None:
        if feeds.REVOKED_FIELD in raw.fields:
            self._on_revoked(raw.fields[feeds.REVOKED_FIELD])
            return
        try:
            id = format_event_id(raw.event_id)
            entry = from_entry(id, raw.fields, link_key=self._link_key)
        except ValueError as error:
            logger.warning("skipped: %s", error)
            return
        # A submission that is retried by hand completes again, at another time.
        is_repeat = self._window.is_repeat(entry["submission_id"], entry["processed_at"])
        if raw.event_id[0] >= self._first_ms:
            self._on_event(entry, is_repeat)
