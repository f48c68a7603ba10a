"""One client's connection: what it asked for, and what it may send."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from websockets.asyncio.server import Server, ServerConnection
from websockets.frames import Frame, Opcode
from websockets.protocol import Event
from websockets.server import ServerProtocol

from wsserver.delivery.closing import POLICY_VIOLATION, Closer
from wsserver.request.query import Options


class MessageRateLimit:
    """So many a minute, saved up to one minute's worth."""

    def __init__(self, per_minute: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._left = per_minute
        self._counted_at = clock()

    def take(self) -> bool:
        """Use one; False when there is none left."""
        now = self._clock()
        earned = (now - self._counted_at) * self._per_minute / 60
        self._left = min(self._per_minute, self._left + earned)
        self._counted_at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class ClientConnection(ServerConnection):
    """A connection that ignores what the client sends, up to a rate.

    Pings count as well: each is answered, and a client that sends many and reads none would make
    the answers pile up here.
    """

    def __init__(
        self,
        protocol: ServerProtocol,
        server: Server,
        *,
        allowance: MessageRateLimit,
        closer: Closer,
        on_made: Callable[["ClientConnection"], bool],
        on_lost: Callable[["ClientConnection"], None],
        **limits: Any,
    ) -> None:
        super().__init__(protocol, server, **limits)
        self.options = Options()
        self._allowance = allowance
        self._closer = closer
        self._on_made = on_made
        self._on_lost = on_lost
        self._misbehaved = False

    def process_event(self, event: Event) -> None:
        """Take the handshake and the pongs; drop everything else, counting it."""
        if not isinstance(event, Frame):
            return super().process_event(event)
        if event.opcode is Opcode.PONG and bytes(event.data) in self.pending_pings:
            return super().process_event(event)
        if event.opcode is not Opcode.CLOSE and not self._allowance.take():
            self._turn_out()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the handshake, unless there are too many sockets already."""
        super().connection_made(transport)
        if not self._on_made(self):
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place free."""
        super().connection_lost(exc)
        self._on_lost(self)

    def _turn_out(self) -> None:
        if not self._misbehaved:
            self._misbehaved = True
            self._closer.close(self, POLICY_VIOLATION, "too many messages")
