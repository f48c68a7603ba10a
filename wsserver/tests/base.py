"""Base class and helpers: a real Redis, the server on a free port, clients, events to publish."""

import asyncio
import json
import logging
import socket
import time
import unittest
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit
from uuid import uuid4

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.support.redis_server import RedisServer
from wire import signed_links
from wire.events import EVENT_OF_SUBMISSION, STREAM, Outcome, build_event, to_entry
from wire.feeds import ANONYMOUS_OWNER, signing_key
from wsserver.request.auth import TokenVerifier
from wsserver.service import Settings, running

ENDED_AT: Final = datetime(2026, 1, 1, tzinfo=UTC)

PATIENCE_S: Final = 30.0
"""How long a test waits for a condition."""

SETTINGS: Final = Settings(
    redis_url="",
    host="127.0.0.1",
    port=0,
    max_connections=1000,
    max_connections_per_address=0,
    max_connections_per_client=0,
    trusted_proxies=(ip_network("127.0.0.0/8"),),
    send_buffer_bytes=262144,
    dedup_window=20000,
    verifier=TokenVerifier(signing_key("a secret of the tests, long enough"), token_required=False),
    link_key=signed_links.signing_key("a secret of the tests, long enough"),
    close_grace_s=0.5,
    look_again_s=0.5,
)


class ServerTestCase(unittest.IsolatedAsyncioTestCase):
    """A Redis for each test class, empty at the start of each test."""

    redis_server: ClassVar[RedisServer]
    append_only: ClassVar[bool] = False

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.redis_server = cls.enterClassContext(RedisServer(append_only=cls.append_only))

    def setUp(self) -> None:
        logging.getLogger("wsserver").setLevel(logging.CRITICAL)
        self.addCleanup(logging.getLogger("wsserver").setLevel, logging.NOTSET)
        self.redis_server.start()
        self.redis_server.flush()
        self.redis = self.redis_server.client()
        self.addCleanup(self.redis.close)

    async def asyncSetUp(self) -> None:
        # The tests block the loop themselves, for Redis; asyncio should not warn of it.
        asyncio.get_running_loop().slow_callback_duration = PATIENCE_S

    @asynccontextmanager
    async def serving(self, **changes: Any) -> AsyncIterator[str]:
        """A server with these settings; yields its address."""
        settings = replace(SETTINGS, redis_url=self.redis_server.url)
        async with running(replace(settings, **changes)) as service:
            yield service.address

    def publish(
        self,
        outcome: Outcome = Outcome.FACES,
        *,
        submission_id: str | None = None,
        at: str = "*",
        padding: int = 0,
        owner: str = ANONYMOUS_OWNER,
        ended_at: datetime = ENDED_AT,
    ) -> str:
        """Append an event as the workers do; returns the submission's id."""
        submission_id = submission_id or str(uuid4())
        event = event_of(submission_id, outcome, padding, ended_at)
        url, seal = event["image_url"], ""
        if owner != ANONYMOUS_OWNER:
            path = urlsplit(url).path
            seal = signed_links.seal(SETTINGS.link_key, owner=owner, url=url, path=path)
        entry: dict[Any, Any] = dict(to_entry(event, owner=owner, seal=seal))
        event_id = self.redis.xadd(STREAM, entry, id=at)
        self.redis.set(
            EVENT_OF_SUBMISSION.format(owner=owner, submission_id=submission_id), str(event_id)
        )
        return submission_id

    def newest_id(self) -> str:
        """The id of the stream's newest event."""
        information: Any = self.redis.xinfo_stream(STREAM)
        return str(information["last-generated-id"])

    async def assert_closed(
        self, client: ClientConnection, code: int, reason: str
    ) -> Sequence[str | bytes]:
        """Assert that the server closes `client` so; returns the frames before that."""
        frames = []
        try:
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    frames.append(await client.recv())
        except ConnectionClosed as error:
            assert error.rcvd is not None, "cut off without a close frame"
            self.assertEqual((error.rcvd.code, error.rcvd.reason), (code, reason))
        return frames

    async def assert_place_is_free(self, address: str) -> None:
        """Assert that a client can connect soon, because another was disconnected."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    async with listening(address):
                        return
                except InvalidStatus:
                    await asyncio.sleep(0.01)

    async def assert_silent(self, client: ClientConnection) -> None:
        """Assert that nothing was sent to `client` so far: its next frame is a marker."""
        marker = self.publish()
        self.assertEqual((await received(client))["submission_id"], marker)


def event_of(
    submission_id: str, outcome: Outcome, padding: int = 0, ended_at: datetime = ENDED_AT
) -> Any:
    """An event with two faces, or none. A repeat has the same time."""
    face: Any = {"box": {"top": 1, "right": 20, "bottom": 30, "left": 4}}
    return build_event(
        submission_id=submission_id,
        outcome=outcome,
        created_at=ended_at,
        processed_at=ended_at,
        faces=[face, face] if outcome is Outcome.FACES else [],
        image_url=f"http://localhost:8282/static/{'x' * padding}{submission_id}.jpg",
        reason="unreadable" if outcome is Outcome.FAILED else None,
    )


def listening(address: str, query: str = "", **options: Any) -> Any:
    """Connect a client to `/faces`; to be entered or awaited."""
    return connect(f"ws://{address}/faces{query}", proxy=None, **options)


async def received(client: ClientConnection) -> dict[str, Any]:
    """The next frame, which must be text."""
    async with asyncio.timeout(PATIENCE_S):
        frame = await client.recv()
    assert isinstance(frame, str), "a binary frame"
    document: dict[str, Any] = json.loads(frame)
    return document


async def received_ids(client: ClientConnection, count: int) -> list[str]:
    """The submissions of the next `count` frames."""
    return [(await received(client))["submission_id"] for _ in range(count)]


async def client_that_never_reads(address: str, query: str = "") -> socket.socket:
    """A client that opens a websocket and then reads nothing, not even pings."""
    host, _, port = address.rpartition(":")
    client = socket.socket()
    # Small, or the kernel would take megabytes on its behalf.
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(client, (host, int(port)))
    await loop.sock_sendall(client, request(f"/faces{query}", UPGRADE))
    answer = await loop.sock_recv(client, 12)
    assert answer == b"HTTP/1.1 101", answer
    return client


async def eventually(holds: Callable[[], bool]) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, "it did not come true in time"
        await asyncio.sleep(0.01)


async def http(
    address: str, path: str, headers: Mapping[str, str] | None = None, method: str = "GET"
) -> tuple[int, dict[str, str], str]:
    """One plain request: status, headers (names in lower case) and body of the answer."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request(path, headers or {}, method))
    async with asyncio.timeout(PATIENCE_S):
        head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
    writer.close()
    status, *rest = head.split("\r\n")
    pairs = (line.partition(": ")[::2] for line in rest)
    return int(status.split()[1]), {name.lower(): value for name, value in pairs}, body


def request(path: str, headers: Mapping[str, str], method: str = "GET") -> bytes:
    every = {"Host": "localhost", **headers}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in every.items())]
    return "\r\n".join([*lines, "", ""]).encode()


UPGRADE: Final[Mapping[str, str]] = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}
"""The headers of a websocket handshake."""
