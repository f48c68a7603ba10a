"""Replay: events from the past of the stream, before a subscriber becomes live."""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from websockets.asyncio.server import broadcast
from websockets.exceptions import ConnectionClosed

from wire.events import BEGINNING, Entry, EventId, format_event_id, from_entry
from wsserver.delivery.broadcaster import KEY_REVOKED, Broadcaster, Subscriber
from wsserver.delivery.closing import SLOW, Closer
from wsserver.request.query import Since
from wsserver.stream.reader import StreamReader
from wsserver.stream.redis_stream import RawEntry, RedisErrors, State, Stream

GAP_MESSAGE: Final = "Some events are no longer available"

_PAGE: Final = 100
_PAUSE_S: Final = 0.2

_Reply = TypeVar("_Reply")


def gap_frame(state: State) -> str:
    """The notice to a subscriber whose events the stream no longer holds completely."""
    oldest = format_event_id(state.oldest) if state.oldest else None
    return json.dumps({"message": GAP_MESSAGE, "oldest_event_id": oldest})


def reaches_back(state: State, since: Since) -> bool:
    """Whether the stream certainly holds every event after `since`.

    The id of an event must lie between the oldest and the newest of the stream; otherwise that
    event was trimmed, or belongs to a stream that Redis lost. A moment may lie before the oldest
    if nothing was trimmed.
    """
    if since.after > state.newest:
        return False
    if state.oldest is None:
        return since.after == state.newest
    return since.after >= state.oldest or (since.is_moment and not state.is_trimmed)


class SlowConsumerError(Exception):
    """The client did not read its replay in time."""


@dataclass
class Progress:
    """How far one replay has come; kept when Redis fails in between."""

    since: Since
    gap_reported: bool = False

    def is_at(self, position: EventId) -> bool:
        """Whether nothing up to `position` is left to send. A moment may lie in the future."""
        return self.since.after == position or (
            self.since.is_moment and self.since.after > position
        )


@dataclass(frozen=True)
class Replay:
    """Serves subscribers from the stream and makes them live.

    While Redis is away it waits; the clients stay connected.
    """

    stream: Stream
    reader: StreamReader
    broadcaster: Broadcaster
    closer: Closer
    max_unread_bytes: int
    read_timeout_s: float
    link_key: bytes = b""

    async def serve(self, subscriber: Subscriber, since: Since | None) -> None:
        """Serve one subscriber until it is live, finished or refused."""
        try:
            if await self._is_revoked(subscriber.claims.key_prefix):
                self.broadcaster.refuse(subscriber, KEY_REVOKED)
            elif subscriber.only is not None:
                await self._serve_one(subscriber, subscriber.only, since)
            elif since is not None:
                progress = Progress(since)
                await self._retry(lambda: self._replay(subscriber, progress))
        except ConnectionClosed:
            pass
        except SlowConsumerError:
            self.closer.close(subscriber.connection, SLOW, "too slow")

    async def _is_revoked(self, key_prefix: str) -> bool:
        # A revocation is written to Redis before the reader can hand it to the broadcaster.
        return key_prefix != "" and await self._retry(lambda: self.stream.is_revoked(key_prefix))

    async def _retry(self, ask: Callable[[], Awaitable[_Reply]]) -> _Reply:
        while True:
            await self.reader.current.wait()
            try:
                return await ask()
            except RedisErrors:
                await asyncio.sleep(_PAUSE_S * random.uniform(0.5, 1.0))

    async def _serve_one(
        self, subscriber: Subscriber, submission_id: str, since: Since | None
    ) -> None:
        # Live first, lookup second: an event that is appended in between is met by one of the two.
        subscriber.wants_repeats = True
        self.broadcaster.go_live(subscriber)
        await self._retry(lambda: self._finish_if_ended(subscriber, submission_id, since))

    async def _finish_if_ended(
        self, subscriber: Subscriber, submission_id: str, since: Since | None
    ) -> None:
        owner = subscriber.claims.owner
        event_id = await self.stream.event_id_of(submission_id, owner=owner)
        if event_id is None:
            return
        if since is None or event_id > since.after:
            await self._send_ended(subscriber, event_id)
        if subscriber.is_live:
            self.broadcaster.finish(subscriber)

    async def _send_ended(self, subscriber: Subscriber, event_id: EventId) -> None:
        raw = await self.stream.entry(event_id)
        state = (await self.stream.page_after(BEGINNING, 1)).state if raw is None else State()
        # Its event may have come live meanwhile; then it is finished.
        if not subscriber.is_live:
            return
        if raw is None:
            broadcast([subscriber.connection], gap_frame(state))
        else:
            self._send(subscriber, raw)

    async def _replay(self, subscriber: Subscriber, progress: Progress) -> None:
        """Send everything up to the position of the reader, and go live in that same instant."""
        while not progress.is_at(until := self.reader.position):
            page = await self.stream.page_after(progress.since.after, _PAGE)
            self._report_gap(subscriber, progress, page.state)
            if progress.since.after > page.state.newest:
                # The ids began anew: everything in the stream came after `since`.
                progress.since = Since(BEGINNING, is_moment=True)
            elif progress.since.after > until:
                # Another server read this event first; this one is about to.
                await asyncio.sleep(_PAUSE_S)
            else:
                await self._send_page(subscriber, progress, page.entries, until=until)
        self.broadcaster.go_live(subscriber)

    async def _send_page(
        self,
        subscriber: Subscriber,
        progress: Progress,
        entries: Sequence[RawEntry],
        *,
        until: EventId,
    ) -> None:
        due = [raw for raw in entries if raw.event_id <= until]
        for raw in due:
            self._send(subscriber, raw)
            progress.since = Since(raw.event_id, is_moment=False)
            await self._wait_for_slow(subscriber)
        if len(due) < _PAGE:
            progress.since = Since(until, is_moment=False)

    def _report_gap(self, subscriber: Subscriber, progress: Progress, state: State) -> None:
        if not progress.gap_reported and not reaches_back(state, progress.since):
            progress.gap_reported = subscriber.wants_repeats = True
            broadcast([subscriber.connection], gap_frame(state))

    def _send(self, subscriber: Subscriber, raw: RawEntry) -> None:
        # The owner stands beside the document: events of other owners are not parsed.
        if raw.fields.get("owner") != subscriber.claims.owner:
            return
        entry = self._parsed(raw)
        if entry is not None and subscriber.wants(entry):
            self.broadcaster.send(entry, [subscriber])

    def _parsed(self, raw: RawEntry) -> Entry | None:
        try:
            return from_entry(format_event_id(raw.event_id), raw.fields, link_key=self.link_key)
        except ValueError:
            return None  # The reader has logged it.

    async def _wait_for_slow(self, subscriber: Subscriber) -> None:
        """Wait while too much is unread. A pong comes after everything that was sent before."""
        connection = subscriber.connection
        if connection.transport.get_write_buffer_size() <= self.max_unread_bytes:
            return
        try:
            async with asyncio.timeout(self.read_timeout_s):
                await (await connection.ping())
        except TimeoutError as error:
            # Converted, because a TimeoutError is an OSError, as if Redis were away.
            raise SlowConsumerError from error
