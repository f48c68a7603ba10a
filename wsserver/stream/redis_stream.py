"""Redis as the websocket server uses it: the stream of events, revocations, metrics."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from wire import events, feeds, metrics
from wire.events import BEGINNING, EventId, format_event_id

RedisErrors: Final = (RedisError, OSError)
"""Raised by a command while Redis is unreachable or loading, or if a key has another type."""

_CONNECT_TIMEOUT_S: Final = 5.0
_ANSWER_TIMEOUT_S: Final = 5.0


@dataclass(frozen=True)
class RawEntry:
    """A stream entry as Redis holds it; `wire.events.from_entry` reads it."""

    event_id: EventId
    fields: Mapping[str, str]


@dataclass(frozen=True)
class State:
    """The stream at one moment. `newest` is the last id that was given out, trimmed or not."""

    oldest: EventId | None = None
    newest: EventId = BEGINNING
    is_trimmed: bool = False


@dataclass(frozen=True)
class Page:
    """Entries after a cursor, oldest first, and the stream's state at that same moment.

    `full`: more entries may follow.
    """

    state: State
    entries: Sequence[RawEntry]
    full: bool


class Stream:
    """A Redis client without retries: its methods raise one of `RedisErrors` at once."""

    def __init__(self, url: str, *, connections: int, block_s: float = 0) -> None:
        pool = redis.asyncio.BlockingConnectionPool.from_url(
            url,
            max_connections=connections,
            timeout=None,
            # RESP2: the shapes below do not depend on the library's default.
            protocol=2,
            decode_responses=True,
            # One entry that is not UTF-8 must not end the connection each time it is read.
            encoding_errors="replace",
            socket_connect_timeout=_CONNECT_TIMEOUT_S,
            # A blocking read may take `block_s`; after that the connection is dead.
            socket_timeout=block_s + _ANSWER_TIMEOUT_S,
            # A socket of the file system knows no such option.
            **({} if url.startswith("unix:") else {"socket_keepalive": True}),
            # The callers retry, each in its own way.
            retry=Retry(NoBackoff(), 0),
        )
        self._redis = redis.asyncio.Redis.from_pool(pool)
        self._block_ms = int(block_s * 1000)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._redis.aclose()

    async def page_after(self, cursor: EventId, count: int = 100) -> Page:
        """Up to `count` entries newer than `cursor`."""
        async with self._redis.pipeline(transaction=True) as transaction:
            transaction.xread({events.STREAM: format_event_id(cursor)}, count=count)
            transaction.xinfo_stream(events.STREAM)
            answer, information = await transaction.execute(raise_on_error=False)
        if isinstance(answer, Exception):
            raise answer
        entries = _entries(answer)
        return Page(_state(information), entries, full=len(entries) >= count)

    async def wait_after(self, cursor: EventId, count: int = 100) -> Sequence[RawEntry]:
        """The same entries as soon as there is one; none after `block_s`."""
        return _entries(
            await self._redis.xread(
                {events.STREAM: format_event_id(cursor)}, count=count, block=self._block_ms
            )
        )

    async def event_id_of(self, submission_id: str, *, owner: str) -> EventId | None:
        """The id of the event of the owner's submission, or None while there is none.

        Also None for a value that is no id.
        """
        key = events.EVENT_OF_SUBMISSION.format(owner=owner, submission_id=submission_id)
        event_id: Any = await self._redis.get(key)
        try:
            return None if event_id is None else events.parse_event_id(event_id)
        except ValueError:
            return None

    async def is_revoked(self, key_prefix: str) -> bool:
        """Whether the API key with this prefix was revoked within the lifetime of its tokens."""
        return bool(await self._redis.exists(feeds.REVOKED_KEY.format(key_prefix=key_prefix)))

    async def entry(self, event_id: EventId) -> RawEntry | None:
        """One entry, or None if it has been trimmed."""
        text = format_event_id(event_id)
        rows: Any = await self._redis.xrange(events.STREAM, text, text)
        return _entry(*rows[0]) if rows else None

    async def report_server(
        self, instance: str, listeners: int, counted: Mapping[str, int]
    ) -> None:
        """Publish the gauge of one server, and add to the counters that all servers share."""
        async with self._redis.pipeline(transaction=True) as transaction:
            transaction.sadd(metrics.SERVERS, instance)
            key = metrics.SERVER.format(instance=instance)
            transaction.set(key, listeners, ex=metrics.SERVER_TTL_S)
            fields = {metrics.field(name, {}): by for name, by in counted.items()}
            for field, by in fields.items():
                transaction.hincrby(metrics.HASH, field, by)
            # An error of one command does not keep the others from being done.
            replies = await transaction.execute(raise_on_error=False)
        added = zip(fields, replies[2:], strict=True)
        if broken := [field for field, reply in added if metrics.is_broken(reply)]:
            await self._redis.hdel(metrics.HASH, *broken)

    async def remove_server(self, instance: str) -> None:
        """Delete the gauge of a server that ends."""
        async with self._redis.pipeline(transaction=True) as transaction:
            transaction.srem(metrics.SERVERS, instance)
            transaction.delete(metrics.SERVER.format(instance=instance))
            await transaction.execute()


def _entries(answer: Any) -> Sequence[RawEntry]:
    return [_entry(*row) for _stream, rows in answer or () for row in rows]


def _entry(event_id: str, fields: Mapping[str, str] | None) -> RawEntry:
    return RawEntry(events.parse_event_id(event_id), fields or {})


def _state(information: Any) -> State:
    """Read the reply to `XINFO STREAM`, which is an error while the stream does not exist."""
    if isinstance(information, ResponseError) and "no such key" in str(information):
        return State()
    if isinstance(information, Exception):
        raise information
    first = information["first-entry"]
    return State(
        oldest=events.parse_event_id(first[0]) if first else None,
        newest=events.parse_event_id(information["last-generated-id"]),
        # Redis counts `entries-added` since version 7.
        is_trimmed=information["entries-added"] > information["length"],
    )
