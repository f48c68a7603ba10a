"""What happens before the websocket opens: paths, options, limits, the health check."""

import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Final, cast

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from wsserver.delivery.connection import ClientConnection
from wsserver.handshake import responses
from wsserver.handshake.connection_limits import ConnectionLimiter
from wsserver.request.query import OptionError, parse_options

logger = logging.getLogger(__name__)

_FACES: Final = "/faces"
_HEALTHCHECK: Final = "/healthcheck"


class HandshakeHandler:
    """Answers requests, or lets them through to the websocket."""

    def __init__(self, limiter: ConnectionLimiter, is_ready: Callable[[], bool]) -> None:
        self._limiter = limiter
        self._is_ready = is_ready

    def receive(self, connection: ServerConnection, request: Request) -> Response | None:
        """The answer to a request; None lets the client in."""
        path, _, query = request.path.partition("?")
        if path.removesuffix("/") == _HEALTHCHECK:
            return self._health(query)
        if path.removesuffix("/") != _FACES:
            return responses.error(HTTPStatus.NOT_FOUND, "Not found.")
        if not _asks_for_websocket(request):
            return _upgrade_required()
        try:
            cast(ClientConnection, connection).options = parse_options(query)
        except OptionError as error:
            return responses.invalid(error.errors)
        return self._let_in(connection, request)

    def _let_in(self, connection: ServerConnection, request: Request) -> Response | None:
        # Empty for a socket that is gone already, or is not of the internet.
        peer = str((connection.remote_address or [""])[0])
        refusal = self._limiter.acquire(connection, peer, request.headers)
        if refusal is None:
            return None
        logger.warning("refused a client: %s", refusal.reason)
        return responses.error(
            HTTPStatus.SERVICE_UNAVAILABLE,
            refusal.reason,
            {"Retry-After": str(refusal.retry_after_s)},
        )

    def _health(self, query: str) -> Response:
        """Alive in any case: a restart would not bring Redis back. `?ready` asks for Redis too."""
        if query.partition("=")[0] == "ready" and not self._is_ready():
            return responses.error(HTTPStatus.SERVICE_UNAVAILABLE, "Redis cannot be reached.")
        return responses.text(HTTPStatus.OK, "OK")


def as_json_error(
    connection: ServerConnection, request: Request, response: Response
) -> Response | None:
    """The library's own refusals of a bad handshake are text; ours are JSON."""
    if response.status_code < 400 or response.headers.get("Content-Type") == "application/json":
        return None
    # Its text repeats what the client sent.
    return responses.error(
        HTTPStatus(response.status_code), "The websocket handshake is not valid."
    )


def _asks_for_websocket(request: Request) -> bool:
    return "websocket" in ",".join(request.headers.get_all("Upgrade")).lower()


def _upgrade_required() -> Response:
    return responses.error(
        HTTPStatus.UPGRADE_REQUIRED,
        "This address is a websocket. Open it with a websocket client.",
        # The hop-by-hop header must be named in Connection, which says close as well.
        {"Upgrade": "websocket", "Connection": "Upgrade, close"},
    )
