"""Closing of connections without waiting for the client."""

import asyncio
from typing import Final

from websockets.asyncio.server import ServerConnection

SLOW: Final = 1013
"""Try again later: the client reads more slowly than events come."""
POLICY_VIOLATION: Final = 1008
"""The client sent more than it may."""
REFUSED: Final = 4401
"""The token is missing, invalid or expired, or its API key was revoked."""
FINISHED: Final = 1000
"""The one event that was asked for has been sent."""


class Closer:
    """Closes connections in the background."""

    def __init__(self, grace_s: float) -> None:
        self._grace_s = grace_s
        self._tasks: set[asyncio.Task[None]] = set()
        self.slow_consumers = 0
        """How many connections were closed because the client read too slowly."""

    def close(self, connection: ServerConnection, code: int, reason: str) -> None:
        """Send a close frame; abort the connection if the client does not answer it in time."""
        self.slow_consumers += code == SLOW
        task = asyncio.create_task(self._close(connection, code, reason))
        # The loop keeps only weak references to tasks.
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _close(self, connection: ServerConnection, code: int, reason: str) -> None:
        try:
            # The close frame is queued behind everything that the client has not read yet.
            async with asyncio.timeout(self._grace_s):
                await connection.close(code, reason)
        except TimeoutError:
            connection.transport.abort()
