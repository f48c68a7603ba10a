"""Wake-ups: a request waits for a row until a worker notifies it through Redis.

A wake-up is a stream of one entry, which reaches every waiting request, also one that comes a
moment late. It is a hint: read the row. Without Redis, waiting requests poll the row.
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
    """Wake every request that waits for the row."""
    key = _KEY.format(kind=kind, id=id)
    try:
        pipeline = redis_clients.default().pipeline()
        pipeline.xadd(key, {"look": "1"}, maxlen=1)
        pipeline.expire(key, _REMEMBERED_S)
        pipeline.execute()
    except redis.RedisError as error:
        logger.warning("requests that wait for %s=%s have to poll: %s", kind, id, error)


def wait(kind: str, id: int | uuid.UUID, *, seen: str, timeout_s: float) -> str:
    """Block until a wake-up newer than `seen`, for `timeout_s` at most; returns the newest seen."""
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
