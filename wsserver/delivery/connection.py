"""One client's connection: its options, and a limit on what it may send."""

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
    """A token bucket of one minute's messages."""

    def __init__(self, per_minute: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._left = per_minute
        self._counted_at = clock()

    def hit(self) -> bool:
        """Count one message; False if it exceeds the limit."""
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

    Pings count too, because each is answered: the answers would pile up here for a client that
    sends many and reads none.
    """

    def __init__(
        self,
        protocol: ServerProtocol,
        server: Server,
        *,
        rate_limit: MessageRateLimit,
        closer: Closer,
        on_open: Callable[["ClientConnection"], bool],
        on_lost: Callable[["ClientConnection"], None],
        **limits: Any,
    ) -> None:
        super().__init__(protocol, server, **limits)
        self.options = Options()
        self.refusal = ""
        """Why the credentials of the handshake are not taken; empty: they are to be verified."""
        self.link_base = ""
        """What links in its events begin with; empty: as they are stored."""
        self._rate_limit = rate_limit
        self._closer = closer
        self._on_open = on_open
        self._on_lost = on_lost
        self._is_ending = False

    def process_event(self, event: Event) -> None:
        """Process the handshake and pongs; count and drop everything else."""
        if not isinstance(event, Frame):
            return super().process_event(event)
        if event.opcode is Opcode.PONG and bytes(event.data) in self.pending_pings:
            return super().process_event(event)
        if event.opcode is not Opcode.CLOSE and not self._rate_limit.hit() and not self._is_ending:
            self._is_ending = True
            self._closer.close(self, POLICY_VIOLATION, "too many messages")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the handshake, unless `on_open` refuses the socket."""
        super().connection_made(transport)
        if not self._on_open(self):
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Report the end of the socket."""
        super().connection_lost(exc)
        self._on_lost(self)
