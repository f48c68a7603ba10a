"""Who listens, and the fan-out to them."""

import logging
from dataclasses import dataclass

from websockets.asyncio.server import ServerConnection, broadcast
from websockets.protocol import State

from wsserver.delivery.closing import FINISHED, REFUSED, SLOW, Closer
from wsserver.request.auth import Ticket
from wsserver.request.event_ids import EventId
from wsserver.request.filters import Filter
from wsserver.stream.reader import News

logger = logging.getLogger(__name__)


@dataclass(eq=False)
class Listener:
    """One client and what it wants.

    `last_sent`: up to this id it has everything already; None as soon as that lies in the past.
    `only`: the one submission it waits for, with whose event it is done.
    `lacks_before`: it may lack events whose submissions were told about before this place, so it
    gets them when they are added again; others do not get them twice.
    """

    connection: ServerConnection
    wants: Filter
    ticket: Ticket
    last_sent: EventId | None = None
    only: str | None = None
    lacks_before: int = 0

    def awaits(self, news: News) -> bool:
        """Whether this is for it, and new to it."""
        if news.first_place is not None and news.first_place >= self.lacks_before:
            return False
        return self.wants(news.entry) and not self._has(news.event_id)

    def is_finished_by(self, news: News) -> bool:
        """Whether there is nothing more to wait for after this."""
        entry = news.entry
        return self.only == entry["submission_id"] and self.ticket.owner == entry["owner"]

    def _has(self, event_id: EventId) -> bool:
        if self.last_sent is None:
            return False
        if event_id <= self.last_sent:
            return True
        self.last_sent = None
        return False


class Audience:
    """All who listen live."""

    def __init__(self, closer: Closer, *, send_buffer_bytes: int) -> None:
        self._closer = closer
        self._send_buffer_bytes = send_buffer_bytes
        self._listeners: set[Listener] = set()
        self.frames_sent = 0
        """Events sent, live or from the past, one for each listener."""

    def join(self, listener: Listener) -> None:
        """From now on it gets what it wants; nothing happens if it is gone already."""
        if listener.connection.state is State.OPEN:
            self._listeners.add(listener)

    def leave(self, listener: Listener) -> None:
        """No more."""
        self._listeners.discard(listener)

    def has(self, listener: Listener) -> bool:
        """Whether it is still waiting for more."""
        return listener in self._listeners

    def refuse(self, listener: Listener, reason: str) -> None:
        """It hears nothing, or nothing more."""
        self.leave(listener)
        self._closer.close(listener.connection, REFUSED, reason)

    def fan_out(self, news: News) -> None:
        """Send an event to all who want it. Waits for nobody: who reads too slowly is dropped."""
        chosen = [listener for listener in self._listeners if listener.awaits(news)]
        broadcast((listener.connection for listener in chosen), news.entry["frame"])
        self.frames_sent += len(chosen)
        logger.info(
            "event sent submission=%s outcome=%s event=%s listeners=%d",
            news.entry["submission_id"],
            news.entry["outcome"],
            news.entry["event_id"],
            len(chosen),
        )
        self._drop_slow(chosen)
        self._release(news)

    def forget_ids(self) -> None:
        """The ids begin anew: what was sent under the old ones says nothing about the new."""
        for listener in self._listeners:
            listener.last_sent = None

    def finish(self, listener: Listener) -> None:
        """It has what it came for."""
        self.leave(listener)
        self._closer.close(listener.connection, FINISHED, "submission finished")

    def _drop_slow(self, chosen: list[Listener]) -> None:
        for listener in chosen:
            transport = listener.connection.transport
            if transport.get_write_buffer_size() > self._send_buffer_bytes:
                self.leave(listener)
                logger.info("dropped a listener that reads too slowly")
                self._closer.close(listener.connection, SLOW, "too slow")

    def _release(self, news: News) -> None:
        for listener in [one for one in self._listeners if one.is_finished_by(news)]:
            self.finish(listener)
