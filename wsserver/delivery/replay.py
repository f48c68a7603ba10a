"""Brings a subscriber up to the present: what it missed, or the one event it asks for."""

import asyncio
import json
import logging
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from websockets.asyncio.server import broadcast
from websockets.exceptions import ConnectionClosed

from wire.events import Entry, from_entry, parse_event_id
from wsserver.delivery.broadcaster import Broadcaster, Subscriber
from wsserver.delivery.closing import SLOW, Closer
from wsserver.request.event_ids import BEGINNING, EventId, to_text
from wsserver.request.query import Since
from wsserver.stream.deduplication import DeduplicationWindow
from wsserver.stream.reader import StreamReader
from wsserver.stream.redis_stream import RawEntry, RedisErrors, State, Stream

logger = logging.getLogger(__name__)

GAP_MESSAGE: Final = "Some events are no longer available"

_PAGE: Final = 100
_PAUSE_S: Final = 0.2


def gap_frame(state: State) -> str:
    """What a subscriber is told when the stream no longer holds all that it asks for."""
    oldest = to_text(state.oldest) if state.oldest else None
    return json.dumps({"message": GAP_MESSAGE, "oldest_event_id": oldest})


def reaches_back(state: State, since: Since) -> bool:
    """Whether the stream surely holds everything that came after `since`.

    An event's id must lie between the stream's oldest and newest: else that event was trimmed, or
    belongs to a stream that is gone. A moment may lie before the oldest if nothing was trimmed.
    """
    if since.after > state.newest:
        return False
    if state.oldest is None:
        return since.after == state.newest
    if since.after >= state.oldest:
        return True
    return since.is_moment and state.added == state.length


class TooSlow(Exception):
    """The client did not read what it asked for in time."""


@dataclass
class Progress:
    """How far one subscriber has been brought, kept over interruptions."""

    since: Since
    told_of_gap: bool = False


@dataclass(frozen=True)
class Replay:
    """Sends listeners what the stream already holds, then lets them into the broadcaster.

    Redis being away only delays it: the client stays connected.
    """

    stream: Stream
    feed: StreamReader
    broadcaster: Broadcaster
    remembered: DeduplicationWindow
    closer: Closer
    unread_bytes: int
    answer_timeout_s: float

    async def bring(self, subscriber: Subscriber, since: Since | None) -> None:
        """Bring one that asks for the past up to the present: live, finished or gone."""
        try:
            if subscriber.only is not None:
                await self._bring_one(subscriber, subscriber.only, since)
            elif since is not None:
                progress = Progress(since)
                await self._retry(lambda: self._replay(subscriber, progress))
        except ConnectionClosed:
            pass
        except TooSlow:
            self.closer.close(subscriber.connection, SLOW, "too slow")

    async def is_revoked(self, key_prefix: str) -> bool:
        """Whether an API key was revoked, as soon as Redis can be asked."""
        while True:
            await self.feed.current.wait()
            with suppress(*RedisErrors):
                return await self.stream.is_revoked(key_prefix)
            await asyncio.sleep(_PAUSE_S * random.uniform(0.5, 1.0))

    async def _retry(self, ask: Callable[[], Awaitable[None]]) -> None:
        while True:
            await self.feed.current.wait()
            try:
                return await ask()
            except RedisErrors:
                await asyncio.sleep(_PAUSE_S * random.uniform(0.5, 1.0))

    async def _bring_one(
        self, subscriber: Subscriber, submission_id: str, since: Since | None
    ) -> None:
        # Live first and looked up second: an event that comes in between is met by one of both.
        subscriber.lacks_before = self.remembered.count
        self.broadcaster.join(subscriber)
        await self._retry(lambda: self._tell_if_ended(subscriber, submission_id, since))

    async def _tell_if_ended(
        self, subscriber: Subscriber, submission_id: str, since: Since | None
    ) -> None:
        event_id = _parsed(
            await self.stream.event_id_of(submission_id, owner=subscriber.claims.owner)
        )
        if event_id is None:
            return
        frame = await self._frame_of_ended(subscriber, await self.stream.entry(event_id))
        already_has = since is not None and event_id <= since.after
        # Meanwhile it may have come live.
        if self.broadcaster.has(subscriber):
            if frame is not None and not already_has:
                broadcast([subscriber.connection], frame)
                self.broadcaster.events_sent += 1
            self.broadcaster.finish(subscriber)

    async def _frame_of_ended(self, subscriber: Subscriber, raw: RawEntry | None) -> str | None:
        if raw is None:
            return gap_frame((await self.stream.page_after(BEGINNING, 1)).state)
        entry = _read(raw)
        return entry["frame"] if entry is not None and subscriber.wants(entry) else None

    async def _replay(self, subscriber: Subscriber, progress: Progress) -> None:
        """Page through the stream until nothing more follows, and go live in that same instant."""
        if progress.since.is_moment and progress.since.after > self.feed.position:
            return self.broadcaster.join(subscriber)
        while True:
            mark = (self.feed.epoch, self.feed.position)
            page = await self.stream.page_after(progress.since.after, _PAGE)
            self._tell_of_gap(subscriber, progress, page.state)
            if progress.since.after > page.state.newest:
                # Ids began anew: all there is came after it.
                progress.since = Since(BEGINNING, is_moment=True)
                continue
            for raw in page.entries:
                await self._send(subscriber, raw)
                progress.since = Since(raw.event_id, is_moment=False)
            # Whatever the feed read meanwhile went out live, and this subscriber was not there.
            if not page.full and mark == (self.feed.epoch, self.feed.position):
                return self._go_live(subscriber, progress)

    def _tell_of_gap(self, subscriber: Subscriber, progress: Progress, state: State) -> None:
        if not progress.told_of_gap and not reaches_back(state, progress.since):
            progress.told_of_gap = True
            broadcast([subscriber.connection], gap_frame(state))

    def _go_live(self, subscriber: Subscriber, progress: Progress) -> None:
        subscriber.last_sent = progress.since.after
        # What it lacks may be added to the stream again; what it has, it does not get twice.
        subscriber.lacks_before = self.remembered.count if progress.told_of_gap else 0
        self.broadcaster.join(subscriber)

    async def _send(self, subscriber: Subscriber, raw: RawEntry) -> None:
        # Said beside the document: what is not theirs is not worth reading for everyone who asks.
        if raw.fields.get("owner") != subscriber.claims.owner:
            return
        entry = _read(raw)
        if entry is None or not subscriber.wants(entry):
            return
        broadcast([subscriber.connection], entry["frame"])
        self.broadcaster.events_sent += 1
        if subscriber.connection.transport.get_write_buffer_size() > self.unread_bytes:
            await self._until_read(subscriber)

    async def _until_read(self, subscriber: Subscriber) -> None:
        """Wait until the client has read all of it: a pong comes after what was sent before."""
        try:
            async with asyncio.timeout(self.answer_timeout_s):
                await (await subscriber.connection.ping())
        except TimeoutError as error:
            # Not let through as it is: a TimeoutError is an OSError, as if Redis were away.
            raise TooSlow from error


def _parsed(event_id: str | None) -> EventId | None:
    try:
        return None if event_id is None else parse_event_id(event_id)
    except ValueError as error:
        logger.warning("a submission's event id cannot be read: %s", error)
        return None


def _read(raw: RawEntry) -> Entry | None:
    try:
        return from_entry(to_text(raw.event_id), raw.fields)
    except ValueError:
        # The feed has logged it.
        return None
