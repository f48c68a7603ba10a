"""The clients that receive events, and the fan-out to them."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from websockets.asyncio.server import ServerConnection, broadcast

from wire.events import Entry
from wsserver.delivery.closing import FINISHED, REFUSED, SLOW, Closer
from wsserver.request.auth import Claims
from wsserver.request.filters import Filter

logger = logging.getLogger(__name__)

KEY_REVOKED: Final = "the API key was revoked"


@dataclass(eq=False)
class Subscriber:
    """One client and the events it wants.

    `only`: the one submission it waits for; the event of that submission ends its connection.
    `is_live`: it receives events as they are read; before that, a replay may serve it.
    `wants_repeats`: it may lack events that were read before, so it also receives those that are
    appended a second time.
    `link_base`: what links in its events begin with, if not with the URL that the workers wrote.
    """

    connection: ServerConnection
    wants: Filter
    claims: Claims
    only: str | None = None
    link_base: str = ""
    is_live: bool = False
    wants_repeats: bool = False

    def receives(self, entry: Entry, *, is_repeat: bool) -> bool:
        """Whether this event is sent to it now."""
        return self.is_live and self.wants(entry) and (self.wants_repeats or not is_repeat)

    def is_finished_by(self, entry: Entry) -> bool:
        """Whether this is the event it waited for."""
        if not self.is_live or self.only != entry["submission_id"]:
            return False
        return self.claims.owner == entry["owner"]


class Broadcaster:
    """All subscribers, live or not yet."""

    def __init__(self, closer: Closer, *, send_buffer_bytes: int, stored_base: str = "") -> None:
        self._stored_base = stored_base
        self._closer = closer
        self._send_buffer_bytes = send_buffer_bytes
        self._subscribers: set[Subscriber] = set()
        self.events_sent = 0
        """Events sent, live or from the past, counted for each subscriber."""

    def add(self, subscriber: Subscriber) -> None:
        """Add a connected client; it receives nothing before `go_live`."""
        self._subscribers.add(subscriber)

    def go_live(self, subscriber: Subscriber) -> None:
        """Send it events from now on, unless it was removed meanwhile."""
        subscriber.is_live = subscriber in self._subscribers

    def remove(self, subscriber: Subscriber) -> None:
        """Send it no more live events."""
        self._subscribers.discard(subscriber)
        subscriber.is_live = False

    def send(self, entry: Entry, to: Iterable[Subscriber]) -> None:
        """Write the frame of an event to the send buffers; does not wait for any client."""
        by_base: dict[str, list[ServerConnection]] = {}
        for subscriber in to:
            by_base.setdefault(subscriber.link_base, []).append(subscriber.connection)
        for base, connections in by_base.items():
            broadcast(connections, self._with_links(entry["frame"], base))
            self.events_sent += len(connections)

    def _with_links(self, frame: str, base: str) -> str:
        """The frame with links that begin with `base`.

        No text of a document can hold the replaced piece: quotes within texts are escaped.
        """
        return frame.replace(f'_url": "{self._stored_base}/', f'_url": "{base}/') if base else frame

    def publish(self, entry: Entry, is_repeat: bool) -> None:
        """Send an event to the live subscribers that want it; disconnect slow consumers."""
        receivers = [one for one in self._subscribers if one.receives(entry, is_repeat=is_repeat)]
        self.send(entry, receivers)
        logger.info(
            "event sent submission=%s outcome=%s event=%s listeners=%d",
            entry["submission_id"],
            entry["outcome"],
            entry["event_id"],
            len(receivers),
        )
        for subscriber in receivers:
            self._disconnect_if_slow(subscriber)
        for subscriber in [one for one in self._subscribers if one.is_finished_by(entry)]:
            self.finish(subscriber)

    def finish(self, subscriber: Subscriber) -> None:
        """End the connection of a subscriber that has the event it waited for."""
        self._end(subscriber, FINISHED, "submission finished")

    def refuse(self, subscriber: Subscriber, reason: str) -> None:
        """End the connection of a subscriber that may not receive events (any more)."""
        self._end(subscriber, REFUSED, reason)

    def revoke(self, key_prefix: str) -> None:
        """End the connections of an API key."""
        for subscriber in [one for one in self._subscribers if one.claims.key_prefix == key_prefix]:
            self.refuse(subscriber, KEY_REVOKED)

    def _disconnect_if_slow(self, subscriber: Subscriber) -> None:
        unread_bytes = subscriber.connection.transport.get_write_buffer_size()
        if unread_bytes > self._send_buffer_bytes:
            logger.info("disconnected a slow consumer")
            self._end(subscriber, SLOW, "too slow")

    def _end(self, subscriber: Subscriber, code: int, reason: str) -> None:
        self.remove(subscriber)
        self._closer.close(subscriber.connection, code, reason)
