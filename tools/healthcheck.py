"""The health check of a container, for Docker: `python -m tools.healthcheck backend`.

The exit code is the result; an error is printed, and `docker inspect` shows it.
"""

import http.client
import os
import socket
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, cast

from tools.config import Address, host_header
from tools.console import UserError, say
from wire import environment
from wire.redis_url import with_password

_TIMEOUT_S: Final = 4.0
_SILENT_S: Final = 60.0
"""A worker renews its registration every 15 s, also while it has a job in hand."""


def main() -> None:
    """Ask the process that the argument names."""
    environment.load()
    try:
        _PROBES[sys.argv[1]]()
    except (UserError, OSError, http.client.HTTPException) as error:
        say(f"{type(error).__name__}: {error}")
        raise SystemExit(1) from None


def _backend() -> None:
    _require_status("FACES_BACKEND_BIND", "/healthcheck", 200)


def _wsserver() -> None:
    # 426: Upgrade Required, the answer to a request that is no websocket handshake.
    _require_status("FACES_WS_BIND", "/faces", 426)


def _require_status(setting: str, path: str, expected: int) -> None:
    address = Address.parse(os.environ[setting], setting=setting).reached_at
    connection = http.client.HTTPConnection(address.host, address.port, timeout=_TIMEOUT_S)
    host = host_header(os.environ["DJANGO_ALLOWED_HOSTS"])
    connection.request("GET", path, headers={"Host": host})
    status = connection.getresponse().status
    if status != expected:
        raise UserError(f"{address}{path} answers {status} instead of {expected}")


def _worker() -> None:
    # Heavy to load, and needed by this probe alone.
    import redis
    from rq.worker_registration import REDIS_WORKER_KEYS

    client = redis.Redis.from_url(
        with_password(os.environ["CACHE_BACKEND_URL"]),
        socket_timeout=_TIMEOUT_S,
        decode_responses=True,
        encoding_errors="replace",
    )
    try:
        with client.pipeline(transaction=False) as pipeline:
            for key in cast(set[str], client.smembers(REDIS_WORKER_KEYS)):
                pipeline.hmget(key, "hostname", "last_heartbeat")
            # What is no worker is answered with an error.
            workers = pipeline.execute(raise_on_error=False)
    except redis.RedisError as error:
        raise UserError(f"Redis does not answer: {error}") from error
    if not any(
        isinstance(each, list) and each[0] == socket.gethostname() and _is_recent(each[1])
        for each in workers
    ):
        raise UserError("no worker of this container has sent a heartbeat for a minute")


def _is_recent(heartbeat: str | None) -> bool:
    """Whether the date, which rq writes in UTC, is of the last minute."""
    try:
        found = datetime.fromisoformat(heartbeat or "")
    except ValueError:
        return False
    return found.replace(tzinfo=UTC) > datetime.now(UTC) - timedelta(seconds=_SILENT_S)


_PROBES: Final[Mapping[str, Callable[[], None]]] = {
    "backend": _backend,
    "worker": _worker,
    "wsserver": _wsserver,
}

if __name__ == "__main__":
    main()
