"""The HTTP request before a websocket opens: routing, options, limits, health check."""

import ipaddress
import logging
from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus
from typing import Final, cast

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from wire.service_address import ServiceAddress
from wsserver.delivery.connection import ClientConnection
from wsserver.handshake import responses
from wsserver.handshake.access import AccessRules
from wsserver.handshake.connection_limits import ConnectionLimiter
from wsserver.request import credentials
from wsserver.request.auth import TokenRejected, TokenVerifier
from wsserver.request.query import OptionError, parse_options

logger = logging.getLogger(__name__)

_FACES: Final = "/faces"
_HEALTHCHECK: Final = "/healthcheck"


class HandshakeHandler:
    """Answers a request, or lets it open a websocket."""

    def __init__(
        self,
        limiter: ConnectionLimiter,
        rules: AccessRules,
        verifier: TokenVerifier,
        *,
        address: ServiceAddress | None,
        is_ready: Callable[[], bool],
    ) -> None:
        self._address = address
        self._limiter = limiter
        self._verifier = verifier
        self._rules = rules
        self._is_ready = is_ready

    def handle(self, connection: ServerConnection, request: Request) -> Response | None:
        """The response to a request; None opens the websocket."""
        path, _, query = request.path.partition("?")
        if path.removesuffix("/") == _HEALTHCHECK:
            return self._health(query)
        if path.removesuffix("/") != _FACES:
            return responses.error(HTTPStatus.NOT_FOUND, "Not found.")
        if not _asks_for_websocket(request):
            return _upgrade_required()
        if refusal := self._rules.refusal_of_host(request):
            return refusal
        try:
            options = parse_options(query)
        except OptionError as error:
            return responses.invalid(error.errors)
        client = cast(ClientConnection, connection)
        found = credentials.find(request.headers, in_query=options.token)
        options = replace(options, token=found.token)
        client.options, client.refusal = options, found.refusal
        client.link_base = self._link_base(request)
        if options.token is None and (refusal := self._rules.refusal_of_page(request)):
            return refusal
        return self._acquire(connection, request)

    def _acquire(self, connection: ServerConnection, request: Request) -> Response | None:
        peer = _peer(connection)
        client = self._client(cast(ClientConnection, connection).options.token)
        rejection = self._limiter.acquire(connection, peer, request.headers, client=client)
        if rejection is None:
            return None
        logger.warning("refused a client: %s", rejection.reason)
        return responses.error(
            HTTPStatus.SERVICE_UNAVAILABLE,
            rejection.reason,
            {"Retry-After": str(rejection.retry_after_s)},
        )

    def _client(self, token: str | None) -> str | None:
        """The client of a valid token; another is refused after the handshake."""
        try:
            return None if token is None else self._verifier.verify(token).owner
        except TokenRejected:
            return None

    def _link_base(self, request: Request) -> str:
        """The client's own address of the service, unless SERVICE_URL names one for all."""
        if self._address is None or not self._address.follows_request:
            return ""
        # nginx sets it; the host was checked.
        scheme = "https" if request.headers.get("X-Forwarded-Proto") == "https" else "http"
        return f"{scheme}://{request.headers['Host'].strip()}{self._address.base_path}"

    def _health(self, query: str) -> Response:
        """Liveness, which does not depend on Redis: a restart would not bring it back. With
        `?ready`, readiness, which does.
        """
        if query.partition("=")[0] == "ready" and not self._is_ready():
            return responses.error(HTTPStatus.SERVICE_UNAVAILABLE, "Redis cannot be reached.")
        return responses.text(HTTPStatus.OK, "OK")


def as_json_error(
    connection: ServerConnection, request: Request, response: Response
) -> Response | None:
    """The library's text response to an invalid handshake, as JSON."""
    if response.status_code < 400 or response.headers.get("Content-Type") == "application/json":
        return None
    # The library's text repeats what the client sent.
    status = HTTPStatus(response.status_code)
    return responses.error(status, "The websocket handshake is not valid.")


def _peer(connection: ServerConnection) -> str:
    """The address of the other end; empty if it is gone already.

    On a socket of the file system it is a process of this user, so nginx, which names the client.
    """
    address = connection.remote_address
    return str(ipaddress.IPv6Address(1)) if address == "" else str((address or [""])[0])


def _asks_for_websocket(request: Request) -> bool:
    return "websocket" in ",".join(request.headers.get_all("Upgrade")).lower()


def _upgrade_required() -> Response:
    return responses.error(
        HTTPStatus.UPGRADE_REQUIRED,
        "This address is a websocket. Open it with a websocket client.",
        # The hop-by-hop header must be named in Connection, which says close as well.
        {"Upgrade": "websocket", "Connection": "Upgrade, close"},
    )
