"""The parts put together: one running websocket server."""

import asyncio
import logging
import socket
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, cast

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.frames import CloseCode

from wire import metrics
from wire.events import Outcome
from wsserver.delivery.broadcaster import Broadcaster, Subscriber
from wsserver.delivery.closing import REFUSED, Closer
from wsserver.delivery.connection import ClientConnection, MessageRateLimit
from wsserver.delivery.replay import Replay
from wsserver.handshake.connection_limits import ConnectionLimiter, Network
from wsserver.handshake.handler import HandshakeHandler, as_json_error
from wsserver.metrics import Counters, MetricsReporter
from wsserver.request.auth import EXPIRED, Claims, Refused, TokenVerifier
from wsserver.request.filters import Filter, all_of, of_owner, of_submission, outcome_in
from wsserver.request.query import Options, Since
from wsserver.stream.deduplication import DeduplicationWindow
from wsserver.stream.reader import StreamReader
from wsserver.stream.redis_stream import Stream

logger = logging.getLogger(__name__)

_REPLAY_CONNECTIONS: Final = 8
_BACKLOG: Final = 1024
KEY_REVOKED: Final = "the API key was revoked"
_SOCKETS_IN_HANDSHAKE: Final = 256
_FIRST_READING_S: Final = 5.0
_LAST_NUMBERS_S: Final = 1.0


@dataclass(frozen=True)
class Settings:
    """What `wsserver/main.py` reads from the environment (`default.env` explains each), and
    constants, which only tests change.
    """

    redis_url: str
    host: str
    port: int
    max_connections: int
    max_connections_per_address: int
    trusted_proxies: Sequence[Network]
    send_buffer_bytes: int
    dedup_window: int
    verifier: TokenVerifier
    handshake_timeout_s: float = 10
    ping_interval_s: float = 20
    ping_timeout_s: float = 20
    max_message_bytes: int = 1024
    """A larger message ends the connection (1009)."""
    max_messages_per_minute: int = 120
    """What clients send is ignored; more of it ends the connection (1008). Pings count."""
    close_grace_s: float = 3
    """A client that does not answer the close frame in this time is cut off."""
    look_again_s: float = 2
    """How long the reader waits for an event before it checks the state of the stream."""
    publish_s: float = metrics.PUBLISH_S


def wanted(options: Options, claims: Claims) -> Filter:
    """The events that a client with these options and this claims gets."""
    if options.submission_id is not None:
        outcomes = options.outcomes or frozenset(Outcome)
        submission = of_submission(options.submission_id)
        return all_of(of_owner(claims.owner), submission, outcome_in(outcomes))
    return all_of(of_owner(claims.owner), outcome_in(options.outcomes or {Outcome.FACES}))


class Service:
    """One running websocket server; `running()` starts and ends it."""

    def __init__(self, settings: Settings, feed_stream: Stream, replay_stream: Stream) -> None:
        self._settings = settings
        self._closer = Closer(settings.close_grace_s)
        self._sockets: set[ClientConnection] = set()
        self._present: set[Subscriber] = set()
        self._revoked: set[str] = set()
        self._broadcaster = Broadcaster(self._closer, send_buffer_bytes=settings.send_buffer_bytes)
        self._remembered = DeduplicationWindow(settings.dedup_window)
        self._limiter = ConnectionLimiter(
            in_all=settings.max_connections,
            per_address=settings.max_connections_per_address,
            proxies=settings.trusted_proxies,
        )
        self.feed = StreamReader(
            feed_stream,
            remembered=self._remembered,
            started_ms=time.time_ns() // 1_000_000,
            on_event=self._broadcaster.fan_out,
            on_new_stream=self._broadcaster.forget_ids,
            on_revoked=self._revoke,
        )
        self._replay = Replay(
            stream=replay_stream,
            feed=self.feed,
            broadcaster=self._broadcaster,
            remembered=self._remembered,
            closer=self._closer,
            unread_bytes=settings.send_buffer_bytes // 2,
            answer_timeout_s=settings.ping_timeout_s,
        )

    def listen(self, sock: socket.socket) -> Server:
        """Serve on `sock`, with every limit set; enter the result."""
        settings, handshake = (
            self._settings,
            HandshakeHandler(self._limiter, self.feed.current.is_set),
        )
        return serve(
            self._attend,
            sock=sock,
            backlog=_BACKLOG,
            create_connection=cast("type[ServerConnection]", self._visitor),
            process_request=handshake.receive,
            process_response=as_json_error,
            server_header=None,
            # A frame is compressed for each subscriber anew, with 64 KiB or more of state for each.
            compression=None,
            open_timeout=settings.handshake_timeout_s,
            ping_interval=settings.ping_interval_s,
            ping_timeout=settings.ping_timeout_s,
            close_timeout=settings.close_grace_s,
            max_size=settings.max_message_bytes,
            # Above the limit clients are dropped: below it nothing ever waits for one.
            write_limit=settings.send_buffer_bytes,
        )

    def counters(self) -> Counters:
        """How it is doing."""
        return Counters(
            connections=self._limiter.inside,
            events_sent=self._broadcaster.events_sent,
            slow_consumers=self._closer.slow_consumers,
        )

    def cut_off(self) -> None:
        """End at once what is still connected."""
        for connection in list(self._sockets):
            connection.transport.abort()

    def _visitor(self, *arguments: Any, **options: Any) -> ClientConnection:
        return ClientConnection(
            *arguments,
            allowance=MessageRateLimit(self._settings.max_messages_per_minute),
            closer=self._closer,
            on_made=self._opened,
            on_lost=self._lost,
            **options,
        )

    def _opened(self, connection: ClientConnection) -> bool:
        self._sockets.add(connection)
        return len(self._sockets) <= self._settings.max_connections + _SOCKETS_IN_HANDSHAKE

    def _lost(self, connection: ClientConnection) -> None:
        self._sockets.discard(connection)
        self._limiter.release(connection)

    async def _attend(self, connection: ServerConnection) -> None:
        options = cast(ClientConnection, connection).options
        try:
            claims = self._settings.verifier.verify(options.token)
        except Refused as refused:
            # After the handshake: a browser tells a page nothing of an answer before it.
            self._closer.close(connection, REFUSED, str(refused))
            return await connection.wait_closed()
        await self._entertain(
            Subscriber(connection, wanted(options, claims), claims, only=options.submission_id),
            options.since,
        )

    async def _entertain(self, subscriber: Subscriber, since: Since | None) -> None:
        """Until it has gone."""
        # No await since the handshake was answered: a client that is in misses nothing.
        self._present.add(subscriber)
        ending = self._end_in_time(subscriber)
        bringing = self._bring(subscriber, since)
        try:
            await subscriber.connection.wait_closed()
        finally:
            for later in (bringing, ending):
                if later is not None:
                    later.cancel()
            self._broadcaster.leave(subscriber)
            self._present.discard(subscriber)

    def _end_in_time(self, subscriber: Subscriber) -> asyncio.TimerHandle | None:
        """Who listens by a token does so while it lasts, and comes back with a new one."""
        if subscriber.claims.ends_at is None:
            return None
        left_s = subscriber.claims.ends_at - time.time()
        loop = asyncio.get_running_loop()
        return loop.call_later(left_s, self._broadcaster.refuse, subscriber, EXPIRED)

    def _bring(self, subscriber: Subscriber, since: Since | None) -> asyncio.Task[None] | None:
        if subscriber.claims.key_prefix:
            # What comes while Redis is asked about the key is caught up with.
            if since is None and subscriber.only is None:
                since = Since(self.feed.position, is_moment=True)
            task = asyncio.create_task(self._bring_if_not_revoked(subscriber, since))
        elif since is None and subscriber.only is None:
            self._broadcaster.join(subscriber)
            return None
        else:
            task = asyncio.create_task(self._replay.bring(subscriber, since))
        task.add_done_callback(_log_failure)
        return task

    async def _bring_if_not_revoked(self, subscriber: Subscriber, since: Since | None) -> None:
        prefix = subscriber.claims.key_prefix
        # The feed tells of revocations from now on, Redis of those before it began to read.
        if await self._replay.is_revoked(prefix) or prefix in self._revoked:
            self._broadcaster.refuse(subscriber, KEY_REVOKED)
        else:
            await self._replay.bring(subscriber, since)

    def _revoke(self, key_prefix: str) -> None:
        self._revoked.add(key_prefix)
        for subscriber in list(self._present):
            if subscriber.claims.key_prefix == key_prefix:
                self._broadcaster.refuse(subscriber, KEY_REVOKED)


@dataclass(frozen=True)
class Running:
    """A service at work. `feed` ends only by a mistake of ours, and then nothing works any more."""

    address: str
    feed: asyncio.Task[None]


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Running]:
    """A service that listens; when the context ends, its clients are closed with 1001."""
    async with AsyncExitStack() as stack:
        sock = stack.enter_context(_bound(settings))
        feed_stream = Stream(settings.redis_url, connections=1, block_s=settings.look_again_s)
        replay_stream = Stream(settings.redis_url, connections=_REPLAY_CONNECTIONS)
        service = Service(
            settings,
            await stack.enter_async_context(feed_stream),
            await stack.enter_async_context(replay_stream),
        )
        reporter = MetricsReporter(replay_stream, service.counters, every_s=settings.publish_s)
        following = await stack.enter_async_context(_followed(service.feed))
        await stack.enter_async_context(_telling(reporter))
        await stack.enter_async_context(_open(service, sock, grace_s=settings.close_grace_s))
        yield Running(_address(sock), following)


@asynccontextmanager
async def _followed(feed: StreamReader) -> AsyncIterator[asyncio.Task[None]]:
    following = asyncio.create_task(feed.run())
    try:
        # Who connects before the first reading could miss what comes during it.
        with suppress(TimeoutError):
            async with asyncio.timeout(_FIRST_READING_S):
                await feed.tried.wait()
        yield following
    finally:
        await _ended(following)


@asynccontextmanager
async def _telling(reporter: MetricsReporter) -> AsyncIterator[None]:
    telling = asyncio.create_task(reporter.run())
    try:
        yield
    finally:
        await _ended(telling)
        # The end must not wait for a Redis that hangs.
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_NUMBERS_S):
                await reporter.end()


async def _ended(task: asyncio.Task[None]) -> None:
    """Cancel until it has ended: redis-py loses a cancellation now and then (its issue 2028)."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.1)


@asynccontextmanager
async def _open(service: Service, sock: socket.socket, *, grace_s: float) -> AsyncIterator[None]:
    server = await service.listen(sock)
    try:
        yield
    finally:
        server.close(code=CloseCode.GOING_AWAY, reason="the server is stopping")
        try:
            async with asyncio.timeout(grace_s):
                await server.wait_closed()
        except TimeoutError:
            service.cut_off()
            await server.wait_closed()


def _bound(settings: Settings) -> socket.socket:
    family, _type, _proto, _name, address = socket.getaddrinfo(
        settings.host, settings.port, type=socket.SOCK_STREAM
    )[0]
    sock = socket.create_server(address[:2], family=family, backlog=_BACKLOG)
    # Connections inherit it. Left to itself the kernel buffers megabytes for a client that does
    # not read, unseen by our own limit.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, settings.send_buffer_bytes)
    return sock


def _address(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("a subscriber could not be brought up to date", exc_info=error)
