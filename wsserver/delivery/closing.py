"""Ends connections without waiting for the client to cooperate."""

import asyncio
import logging
from typing import Final

from websockets.asyncio.server import ServerConnection

logger = logging.getLogger(__name__)

SLOW: Final = 1013
"""Try again later: the client does not read as fast as events come."""
POLICY_VIOLATION: Final = 1008
"""Policy violation: the client sent more than it may."""
REFUSED: Final = 4401
"""The token is missing, forged or has expired, or its API key was revoked: get a new address."""
FINISHED: Final = 1000
"""There is nothing more to report."""


class Closer:
    """Closes connections in the background."""

    def __init__(self, grace_s: float) -> None:
        self._grace_s = grace_s
        self._tasks: set[asyncio.Task[None]] = set()
        self.slow_consumers = 0
        """How many were closed because they read too slowly."""

    def close(self, connection: ServerConnection, code: int, reason: str) -> None:
        """Send a close frame with `code` and `reason`; cut the connection if that does not do."""
        self.slow_consumers += code == SLOW
        task = asyncio.create_task(self._close(connection, code, reason))
        # The loop keeps only weak references to tasks.
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _close(self, connection: ServerConnection, code: int, reason: str) -> None:
        try:
            # The close frame stands behind all that the client has not read yet.
            async with asyncio.timeout(self._grace_s):
                await connection.close(code, reason)
        except TimeoutError:
            connection.transport.abort()
