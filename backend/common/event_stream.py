"""The producer of the event stream: each outcome is appended once.

Redis keeps for a day which entry belongs to which subject. A process that dies between appending an
entry and writing its id to the row finds the entry again.
"""

from collections.abc import Mapping
from typing import Any, Final

import redis
from django.conf import settings

from backend.common import redis_clients
from wire import events as wire

_REMEMBERED_S: Final = 86_400

# One step: a worker that died between the two would publish twice.
_APPEND: Final = """
local known = redis.pcall('GET', KEYS[2])
if type(known) == 'string' and known:find('^%d+%-%d+$') and #known <= 41 then return known end
local id = redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', unpack(ARGV, 3))
redis.call('SET', KEYS[2], id, 'EX', ARGV[2])
return id
"""


def append(fields: Mapping[str, str], *, owner: object, subject: object) -> str:
    """The id of the event of `subject`, appended with these `fields` if there is none yet.

    Raises `redis.RedisError`.
    """
    pairs = [text for pair in fields.items() for text in pair]
    keys = [wire.STREAM, _key(owner, subject)]
    arguments: list[str | int] = [settings.FACES_EVENT_STREAM_MAXLEN, _REMEMBERED_S, *pairs]
    return str(redis_clients.default().eval(_APPEND, len(keys), *keys, *arguments))


def is_kept(*, owner: object, subject: object) -> bool:
    """Whether Redis still knows the event of `subject`. Raises `redis.RedisError`."""
    return bool(redis_clients.default().exists(_key(owner, subject)))


def erase(event_id: str, *, owner: object, subject: object) -> None:
    """Delete an event; `event_id` may be empty. Raises `redis.RedisError`."""
    client = redis_clients.default()
    if known := event_id or _known_id(_key(owner, subject)):
        client.xdel(wire.STREAM, known)
    client.delete(_key(owner, subject))


def _known_id(key: str) -> str:
    """The id at `key`; empty if there is none, or another thing than the id of an event."""
    try:
        known: Any = redis_clients.default().get(key)
        return wire.format_event_id(wire.parse_event_id(known or ""))
    except (ValueError, redis.ResponseError):  # no id; the key of another type
        return ""


def _key(owner: object, subject: object) -> str:
    return wire.EVENT_OF_SUBMISSION.format(owner=owner, submission_id=subject)
