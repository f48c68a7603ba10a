"""Waking who waits for a row, through Redis; without Redis they look again after a while.

A wake-up is a stream of one entry: it reaches everyone who waits, also who comes a moment late. It
is only a hint: look at the row.
"""

import logging
import time
import uuid
from typing import Any, Final

import redis

from backend.common import redis_clients

logger = logging.getLogger(__name__)

_KEY: Final = "faces:wake-up:{kind}:{id}"
_REMEMBERED_S: Final = 60
_LOOK_AGAIN_S: Final = 0.1


def notify(kind: str, id: int | uuid.UUID) -> None:
    """Something happened to the row: wake everyone who waits for it."""
    key = _KEY.format(kind=kind, id=id)
    try:
        pipeline = redis_clients.default().pipeline()
        pipeline.xadd(key, {"look": "1"}, maxlen=1)
        pipeline.expire(key, _REMEMBERED_S)
        pipeline.execute()
    except redis.RedisError as error:
        logger.warning("who waits for %s=%s has to look for it: %s", kind, id, error)


def wait(kind: str, id: int | uuid.UUID, *, seen: str, timeout_s: float) -> str:
    """Sleep until a hint newer than `seen` is there, or for `timeout_s`; returns what is seen."""
    if timeout_s <= 0:
        return seen
    key = _KEY.format(kind=kind, id=id)
    try:
        with redis_clients.blocking(timeout_s) as client:
            milliseconds = max(1, int(timeout_s * 1000))
            read: Any = client.xread({key: seen}, block=milliseconds)
    except redis.RedisError:
        time.sleep(min(_LOOK_AGAIN_S, timeout_s))
        return seen
    return str(read[0][1][-1][0]) if read else seen
