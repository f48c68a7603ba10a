"""Follows the stream and hands each event on once, whatever happens to Redis meanwhile."""

import asyncio
import logging
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from wire import feeds
from wire.events import Entry, from_entry
from wsserver.request.event_ids import BEGINNING, EventId, to_text
from wsserver.stream.deduplication import DeduplicationWindow
from wsserver.stream.redis_stream import Page, RawEntry, RedisErrors, State, Stream

logger = logging.getLogger(__name__)

_PAGE: Final = 500
_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 3.0


@dataclass(frozen=True)
class StreamEvent:
    """One event read from the stream.

    `first_place` is the submission's place in the order when it had been told about already: the
    event was added again, because Redis had lost it.
    """

    event_id: EventId
    entry: Entry
    first_place: int | None


class StreamReader:
    """One reader of the stream.

    It goes on from the last id it read. Ids alone do not show that the stream began anew (Redis
    emptied and its clock set back), so it also counts: when the stream holds more entries than it
    counted, or its oldest or newest is older than before, everything is read again, and the memory
    of submissions keeps what was told from being told twice.
    """

    def __init__(
        self,
        stream: Stream,
        *,
        remembered: DeduplicationWindow,
        started_ms: int,
        on_event: Callable[[StreamEvent], None],
        on_new_stream: Callable[[], None],
        on_revoked: Callable[[str], None],
    ) -> None:
        self.position = BEGINNING
        """Everything up to this id has been handed on."""
        self.current = asyncio.Event()
        """Set while all that the stream holds has been read."""
        self.tried = asyncio.Event()
        """Set once the stream was read, or could not be."""
        self.epoch = 0
        """How many times the stream turned out to be another one."""
        self._stream = stream
        self._remembered = remembered
        self._on_news = on_event
        self._on_new_stream = on_new_stream
        self._on_revoked = on_revoked
        # What lies in the stream at the first reading is history, known but told to nobody; if
        # Redis comes up after this process, what came after our start is event.
        self._history_before_ms = started_ms
        self._known: int | None = None
        self._oldest = BEGINNING
        self._away = False

    async def run(self) -> None:
        """Follow the stream until cancelled."""
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                await self._step()
                pause_s = _FIRST_PAUSE_S
            except RedisErrors as error:
                self._lost(error)
                # With jitter, or all instances would come back in the same instant.
                await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    async def _step(self) -> None:
        page = await self._stream.page_after(self.position, _PAGE)
        if self._is_another_stream(page):
            self._start_over(page.state)
            return
        await self._take(page.entries)
        if page.full:
            return
        self._caught_up(page.state)
        await self._take(await self._stream.wait_after(self.position))

    def _is_another_stream(self, page: Page) -> bool:
        """Whether ids went back, or there is more than was counted."""
        oldest, self._oldest = self._oldest, page.state.oldest or self._oldest
        if page.state.newest < self.position or self._oldest < oldest:
            return True
        if self._known is None or page.full:
            return False
        return page.state.added != self._known + len(page.entries)

    def _start_over(self, state: State) -> None:
        logger.warning(
            "the stream of events is not the one read until now; reading all %d again", state.length
        )
        self._remembered.reserve(2 * state.length)
        self.position, self._known = BEGINNING, None
        self.epoch += 1
        self.current.clear()
        self._on_new_stream()

    def _caught_up(self, state: State) -> None:
        if self._known is None:
            self._known = state.added
        self._history_before_ms = 0
        if not self.current.is_set():
            logger.info("reading the stream of events from %s", to_text(self.position))
        self._away = False
        self.current.set()
        self.tried.set()

    def _lost(self, error: Exception) -> None:
        if not self._away:
            logger.warning("Redis is away: %s", error)
        self._away = True
        self.current.clear()
        self.tried.set()

    async def _take(self, entries: Iterable[RawEntry]) -> None:
        for raw in entries:
            self._hand_on(raw)
            self.position = raw.event_id
            if self._known is not None:
                self._known += 1
            # Between two events the sockets get their turn; a burst would else fill every buffer.
            await asyncio.sleep(0)

    def _hand_on(self, raw: RawEntry) -> None:
        if feeds.REVOKED_FIELD in raw.fields:
            self._on_revoked(raw.fields[feeds.REVOKED_FIELD])
            return
        try:
            entry = from_entry(to_text(raw.event_id), raw.fields)
        except ValueError as error:
            logger.warning("skipped: %s", error)
            return
        # Tried again by hand, a submission ends once more, at another time.
        ending = f"{entry['submission_id']} {entry['processed_at']}"
        place = self._remembered.sequence_of(ending)
        if raw.event_id[0] >= self._history_before_ms:
            self._on_news(StreamEvent(raw.event_id, entry, first_place=place))
