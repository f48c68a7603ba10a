"""One running websocket server: its parts put together."""

import asyncio
import logging
import socket
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.frames import CloseCode
from websockets.typing import Subprotocol

from wire import metrics, sockets
from wire.origins import ANY, OriginPolicy
from wire.service_address import ServiceAddress
from wsserver.delivery.broadcaster import Broadcaster, Subscriber
from wsserver.delivery.closing import REFUSED, Closer
from wsserver.delivery.connection import ClientConnection, MessageRateLimit
from wsserver.delivery.replay import Replay
from wsserver.handshake.access import AccessRules
from wsserver.handshake.connection_limits import ConnectionLimiter, Network
from wsserver.handshake.handler import HandshakeHandler, as_json_error
from wsserver.metrics import Counters, MetricsReporter
from wsserver.request.auth import EXPIRED, TokenRejected, TokenVerifier
from wsserver.request.filters import build_filter
from wsserver.request.query import Since
from wsserver.stream.deduplication import DeduplicationWindow
from wsserver.stream.reader import StreamReader
from wsserver.stream.redis_stream import RedisErrors, Stream

logger = logging.getLogger(__name__)

_REPLAY_CONNECTIONS: Final = 8
_BACKLOG: Final = 1024
_SOCKETS_IN_HANDSHAKE: Final = 256
_FIRST_READING_S: Final = 5.0


@dataclass(frozen=True)
class Settings:
    """What `wsserver/main.py` reads from the environment (`default.env` explains each), and
    constants, which only tests change.
    """

    redis_url: str
    host: str
    port: int
    """Where it listens, unless `path` names a socket of the file system."""
    max_connections: int
    max_connections_per_address: int
    max_connections_per_client: int
    trusted_proxies: Sequence[Network]
    send_buffer_bytes: int
    dedup_window: int
    verifier: TokenVerifier
    link_key: bytes
    """Signs the links to images in events (`wire.signed_links`)."""
    allowed_hosts: Sequence[str] = (ANY,)
    origins: OriginPolicy = OriginPolicy()
    address: ServiceAddress | None = None
    """Where clients reach the service; None: links in events are sent as they are stored."""
    path: Path | None = None
    explains: bool = False
    """Whether a refusal names the setting behind it in the response; it does in the log."""
    handshake_timeout_s: float = 10
    ping_interval_s: float = 20
    ping_timeout_s: float = 20
    max_message_bytes: int = 1024
    """A larger message ends the connection (1009)."""
    max_messages_per_minute: int = 120
    """What clients send is ignored; more of it ends the connection (1008). Pings count."""
    close_grace_s: float = 3
    """A connection is aborted if the client does not answer the close frame in this time."""
    look_again_s: float = 2
    """How long the reader waits for an event before it checks the state of the stream."""
    publish_s: float = metrics.PUBLISH_S


class Service:
    """One running websocket server; `running()` starts and ends it."""

    def __init__(self, settings: Settings, reader_stream: Stream, replay_stream: Stream) -> None:
        self._settings = settings
        self._closer = Closer(settings.close_grace_s)
        self._sockets: set[ClientConnection] = set()
        stored_base = settings.address.url if settings.address else ""
        self._broadcaster = Broadcaster(
            self._closer,
            send_buffer_bytes=settings.send_buffer_bytes,
            stored_base=stored_base,
        )
        self._limiter = ConnectionLimiter(
            total=settings.max_connections,
            per_address=settings.max_connections_per_address,
            per_client=settings.max_connections_per_client,
            proxies=settings.trusted_proxies,
        )
        self.reader = StreamReader(
            reader_stream,
            window=DeduplicationWindow(settings.dedup_window),
            started_ms=time.time_ns() // 1_000_000,
            on_event=self._broadcaster.publish,
            on_revoked=self._broadcaster.revoke,
            link_key=settings.link_key,
        )
        self._replay = Replay(
            stream=replay_stream,
            reader=self.reader,
            broadcaster=self._broadcaster,
            closer=self._closer,
            max_unread_bytes=settings.send_buffer_bytes // 2,
            read_timeout_s=settings.ping_timeout_s,
            link_key=settings.link_key,
        )

    def listen(self, sock: socket.socket) -> Server:
        """Serve on `sock`; await the result."""
        settings = self._settings
        handler = HandshakeHandler(
            self._limiter,
            AccessRules(settings.allowed_hosts, settings.origins, explains=settings.explains),
            settings.verifier,
            address=settings.address,
            is_ready=self.reader.current.is_set,
        )
        return serve(
            self._handle,
            sock=sock,
            backlog=_BACKLOG,
            create_connection=cast("type[ServerConnection]", self._connection),
            process_request=handler.handle,
            process_response=as_json_error,
            select_subprotocol=_first,
            server_header=None,
            # Each frame would be compressed for each client, with 64 KiB or more of state each.
            compression=None,
            open_timeout=settings.handshake_timeout_s,
            ping_interval=settings.ping_interval_s,
            ping_timeout=settings.ping_timeout_s,
            close_timeout=settings.close_grace_s,
            max_size=settings.max_message_bytes,
            # Slow consumers are disconnected above this limit, so no write ever waits below it.
            write_limit=settings.send_buffer_bytes,
        )

    def counters(self) -> Counters:
        """The values of the metrics."""
        return Counters(
            connections=self._limiter.active,
            events_sent=self._broadcaster.events_sent,
            slow_consumers=self._closer.slow_consumers,
        )

    def abort(self) -> None:
        """Cut every connection without a close frame."""
        for connection in list(self._sockets):
            connection.transport.abort()

    def _connection(self, *arguments: Any, **options: Any) -> ClientConnection:
        return ClientConnection(
            *arguments,
            rate_limit=MessageRateLimit(self._settings.max_messages_per_minute),
            closer=self._closer,
            on_open=self._on_open,
            on_lost=self._on_lost,
            **options,
        )

    def _on_open(self, connection: ClientConnection) -> bool:
        self._sockets.add(connection)
        return len(self._sockets) <= self._settings.max_connections + _SOCKETS_IN_HANDSHAKE

    def _on_lost(self, connection: ClientConnection) -> None:
        self._sockets.discard(connection)
        self._limiter.release(connection)

    async def _handle(self, connection: ServerConnection) -> None:
        client = cast(ClientConnection, connection)
        options = client.options
        try:
            if client.refusal:
                raise TokenRejected(client.refusal)
            claims = self._settings.verifier.verify(options.token)
        except TokenRejected as rejection:
            # After the handshake: browsers do not show pages the response to a failed handshake.
            self._closer.close(connection, REFUSED, str(rejection))
            return await connection.wait_closed()
        wants = build_filter(options, owner=claims.owner)
        subscriber = Subscriber(
            connection,
            wants,
            claims,
            only=options.submission_id,
            link_base=client.link_base,
        )
        self._broadcaster.add(subscriber)
        # No await since the handshake: every event from here on is live or replayed.
        replay = self._start(subscriber, options.since)
        try:
            await self._until_closed(subscriber)
        finally:
            if replay is not None:
                replay.cancel()
            self._broadcaster.remove(subscriber)

    def _start(self, subscriber: Subscriber, since: Since | None) -> asyncio.Task[None] | None:
        is_private = subscriber.claims.key_prefix != ""
        if since is None and subscriber.only is None:
            if not is_private:
                self._broadcaster.go_live(subscriber)
                return None
            # Events that come while Redis is asked whether the key was revoked are replayed.
            since = Since(self.reader.position, is_moment=True)
        task = asyncio.create_task(self._replay.serve(subscriber, since))
        task.add_done_callback(_log_failure)
        return task

    async def _until_closed(self, subscriber: Subscriber) -> None:
        connection, expires_at = subscriber.connection, subscriber.claims.expires_at
        try:
            async with asyncio.timeout(None if expires_at is None else expires_at - time.time()):
                await connection.wait_closed()
        except TimeoutError:
            self._broadcaster.refuse(subscriber, EXPIRED)
            await connection.wait_closed()


@dataclass(frozen=True)
class Running:
    """A running service. `reading` ends only by a defect; then the process must end too."""

    address: str
    reading: asyncio.Task[None]


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Running]:
    """A service that listens; at the end of the context its clients are closed with 1001."""
    async with AsyncExitStack() as stack:
        sock = stack.enter_context(_bound_socket(settings))
        reader_stream = await stack.enter_async_context(
            Stream(settings.redis_url, connections=1, block_s=settings.look_again_s)
        )
        replay_stream = await stack.enter_async_context(
            Stream(settings.redis_url, connections=_REPLAY_CONNECTIONS)
        )
        service = Service(settings, reader_stream, replay_stream)
        # A client that connects before the first reading could miss events during it.
        with suppress(*RedisErrors):
            async with asyncio.timeout(_FIRST_READING_S):
                await service.reader.catch_up()
        reading = await stack.enter_async_context(_task(service.reader.run()))
        reporter = MetricsReporter(replay_stream, service.counters, every_s=settings.publish_s)
        stack.push_async_callback(reporter.end)
        await stack.enter_async_context(_task(reporter.run()))
        await stack.enter_async_context(_listening(service, sock, grace_s=settings.close_grace_s))
        yield Running(_address(sock), reading)


@asynccontextmanager
async def _task(coroutine: Coroutine[Any, Any, None]) -> AsyncIterator[asyncio.Task[None]]:
    """A task that is cancelled at the end of the context."""
    task = asyncio.create_task(coroutine)
    try:
        yield task
    finally:
        # More than once: redis-py sometimes loses a cancellation (its issue 2028).
        while not task.done():
            task.cancel()
            await asyncio.wait([task], timeout=0.1)


@asynccontextmanager
async def _listening(
    service: Service, sock: socket.socket, *, grace_s: float
) -> AsyncIterator[None]:
    server = await service.listen(sock)
    try:
        yield
    finally:
        server.close(code=CloseCode.GOING_AWAY, reason="the server is stopping")
        try:
            async with asyncio.timeout(grace_s):
                await server.wait_closed()
        except TimeoutError:
            service.abort()
            await server.wait_closed()


def _first(connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """Any subprotocol that the client offers: a browser closes the connection if none is taken."""
    return offered[0] if offered else None


def _bound_socket(settings: Settings) -> socket.socket:
    if settings.path is not None:
        return sockets.listen(settings.path, backlog=_BACKLOG)
    family, _type, _proto, _name, address = socket.getaddrinfo(
        settings.host, settings.port, type=socket.SOCK_STREAM
    )[0]
    sock = socket.create_server(address[:2], family=family, backlog=_BACKLOG)
    # Connections inherit it. By default the kernel would buffer megabytes for a client that does
    # not read, unseen by the limit on the send buffer.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, settings.send_buffer_bytes)
    return sock


def _address(sock: socket.socket) -> str:
    if sock.family == socket.AF_UNIX:
        return f"{sockets.PREFIX}{sock.getsockname()}"
    host, port = sock.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("a replay failed", exc_info=error)
