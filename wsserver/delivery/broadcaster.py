"""Who listens, and the fan-out to them."""

import logging
from dataclasses import dataclass

from websockets.asyncio.server import ServerConnection, broadcast
from websockets.protocol import State

from wsserver.delivery.closing import FINISHED, REFUSED, SLOW, Closer
from wsserver.request.auth import Claims
from wsserver.request.event_ids import EventId
from wsserver.request.filters import Filter
from wsserver.stream.reader import StreamEvent

logger = logging.getLogger(__name__)


@dataclass(eq=False)
class Subscriber:
    """One client and what it wants.

    `last_sent`: up to this id it has everything already; None as soon as that lies in the past.
    `only`: the one submission it waits for, with whose event it is done.
    `lacks_before`: it may lack events whose submissions were told about before this place, so it
    gets them when they are added again; others do not get them twice.
    """

    connection: ServerConnection
    wants: Filter
    claims: Claims
    last_sent: EventId | None = None
    only: str | None = None
    lacks_before: int = 0

    def awaits(self, event: StreamEvent) -> bool:
        """Whether this is for it, and new to it."""
        if event.first_place is not None and event.first_place >= self.lacks_before:
            return False
        return self.wants(event.entry) and not self._has(event.event_id)

    def is_finished_by(self, event: StreamEvent) -> bool:
        """Whether there is nothing more to wait for after this."""
        entry = event.entry
        return self.only == entry["submission_id"] and self.claims.owner == entry["owner"]

    def _has(self, event_id: EventId) -> bool:
        if self.last_sent is None:
            return False
        if event_id <= self.last_sent:
            return True
        self.last_sent = None
        return False


class Broadcaster:
    """All who listen live."""

    def __init__(self, closer: Closer, *, send_buffer_bytes: int) -> None:
        self._closer = closer
        self._send_buffer_bytes = send_buffer_bytes
        self._subscribers: set[Subscriber] = set()
        self.events_sent = 0
        """Events sent, live or from the past, one for each subscriber."""

    def join(self, subscriber: Subscriber) -> None:
        """From now on it gets what it wants; nothing happens if it is gone already."""
        if subscriber.connection.state is State.OPEN:
            self._subscribers.add(subscriber)

    def leave(self, subscriber: Subscriber) -> None:
        """No more."""
        self._subscribers.discard(subscriber)

    def has(self, subscriber: Subscriber) -> bool:
        """Whether it is still waiting for more."""
        return subscriber in self._subscribers

    def refuse(self, subscriber: Subscriber, reason: str) -> None:
        """It hears nothing, or nothing more."""
        self.leave(subscriber)
        self._closer.close(subscriber.connection, REFUSED, reason)

    def fan_out(self, event: StreamEvent) -> None:
        """Send an event to all who want it. Waits for nobody: who reads too slowly is dropped."""
        chosen = [subscriber for subscriber in self._subscribers if subscriber.awaits(event)]
        broadcast((subscriber.connection for subscriber in chosen), event.entry["frame"])
        self.events_sent += len(chosen)
        logger.info(
            "event sent submission=%s outcome=%s event=%s listeners=%d",
            event.entry["submission_id"],
            event.entry["outcome"],
            event.entry["event_id"],
            len(chosen),
        )
        self._drop_slow(chosen)
        self._release(event)

    def forget_ids(self) -> None:
        """The ids begin anew: what was sent under the old ones says nothing about the new."""
        for subscriber in self._subscribers:
            subscriber.last_sent = None

    def finish(self, subscriber: Subscriber) -> None:
        """It has what it came for."""
        self.leave(subscriber)
        self._closer.close(subscriber.connection, FINISHED, "submission finished")

    def _drop_slow(self, chosen: list[Subscriber]) -> None:
        for subscriber in chosen:
            transport = subscriber.connection.transport
            if transport.get_write_buffer_size() > self._send_buffer_bytes:
                self.leave(subscriber)
                logger.info("dropped a subscriber that reads too slowly")
                self._closer.close(subscriber.connection, SLOW, "too slow")

    def _release(self, event: StreamEvent) -> None:
        for subscriber in [one for one in self._subscribers if one.is_finished_by(event)]:
            self.finish(subscriber)
