"""The process: reads the settings, then runs the service until a signal ends it."""

import asyncio
import ipaddress
import logging
import os
import resource
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from redis.asyncio import ConnectionPool

from wire import environment, feeds, logs, service_address, signed_links, sockets
from wire.origins import OriginPolicy
from wire.redis_url import with_password
from wire.settings import Reader, SettingError
from wsserver.request.auth import TokenVerifier
from wsserver.service import Settings, running

logger = logging.getLogger(__name__)

SEND_BUFFER_BYTES: Final = 256 << 10
"""A client with more unread bytes is disconnected (close code 1013)."""

NGINX_NETWORKS: Final = tuple(
    ipaddress.ip_network(each)
    for each in ("127.0.0.0/8", "::1", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
)
"""Where nginx, the only client of FACES_WS_BIND, may be: on this machine, or in a private network
of containers. It names the client in X-Forwarded-For, and overwrites what the client sent."""

_OTHER_FILES: Final = 320
"""Open files besides the connections: Redis, the log, sockets in their handshake."""


def main() -> int:
    """Run until SIGTERM or SIGINT. 0: stopped; 1: could not listen; 2: invalid settings."""
    _start_log("text", "INFO")
    try:
        environment.load()
        read = Reader(os.environ)
        _start_log(
            read.text("FACES_LOG_FORMAT", choices=logs.FORMATS),
            read.text("FACES_LOG_LEVEL", choices=("DEBUG", "INFO", "WARNING", "ERROR")),
        )
        settings = read_settings(os.environ)
    except (SettingError, environment.SettingsFileError) as error:
        logger.critical("%s", error)
        return 2
    _raise_file_limit(settings.max_connections)
    try:
        asyncio.run(_serve(settings))
    except OSError as error:
        where = settings.path or f"{settings.host}:{settings.port}"
        logger.critical("cannot listen on %s: %s", where, error)
        return 1
    return 0


def read_settings(environ: Mapping[str, str]) -> Settings:
    """The settings; raises `SettingError` for the first that is invalid."""
    read = Reader(environ)
    host, port, path = _bind(read, "FACES_WS_BIND")
    address = service_address.read(read)
    return Settings(
        redis_url=_redis_url(read, "CACHE_BACKEND_URL"),
        host=host,
        port=port,
        path=path,
        max_connections=read.number("FACES_WS_MAX_CONNECTIONS", at_least=1),
        max_connections_per_address=read.number("FACES_WS_MAX_CONNECTIONS_PER_ADDRESS"),
        max_connections_per_client=read.number("FACES_WS_MAX_CONNECTIONS_PER_CLIENT"),
        trusted_proxies=(*NGINX_NETWORKS, *read.networks("FACES_TRUSTED_PROXIES")),
        send_buffer_bytes=SEND_BUFFER_BYTES,
        # Twice the stream: it also holds the newest of the events that were trimmed.
        dedup_window=2 * read.number("FACES_EVENT_STREAM_MAXLEN", at_least=1),
        verifier=TokenVerifier(
            signing_key=feeds.signing_key(read.text("DJANGO_SECRET_KEY")),
            token_required=read.flag("FACES_REQUIRE_API_KEY"),
        ),
        link_key=signed_links.signing_key(read.text("DJANGO_SECRET_KEY")),
        allowed_hosts=[*read.words("DJANGO_ALLOWED_HOSTS"), address.host],
        origins=OriginPolicy(frozenset([*read.origins("FACES_ALLOWED_ORIGINS"), address.origin])),
        address=address,
        explains=read.text("ENVIRONMENT") == "development",
    )


def _start_log(kind: str, level: str) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logs.formatter(kind))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("wsserver").setLevel(level)
    # The library logs single connections, and may log what clients sent.
    logging.getLogger("websockets").setLevel(logging.ERROR)


async def _serve(settings: Settings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with running(settings) as service:
        logger.info("listening on %s", service.address)
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait({stopped, service.reading}, return_when=asyncio.FIRST_COMPLETED)
        if not stopped.done():
            # Raises the error that ended the reader: the process must be restarted.
            await service.reading
        logger.info("stopping")


def _raise_file_limit(connections: int) -> None:
    """Raise the limit on open files, usually 1024: each connection is one."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if allowed != resource.RLIM_INFINITY and allowed < connections + _OTHER_FILES:
        logger.warning(
            "only %d files may be open, too few for FACES_WS_MAX_CONNECTIONS=%d; "
            "raise the limit (ulimit -n) or lower the setting",
            allowed,
            connections,
        )


def _bind(read: Reader, name: str) -> tuple[str, int, Path | None]:
    """Host and port, or the path of a socket."""
    text = read.text(name) or sockets.wsserver(_storage(read))
    path = Path(text.removeprefix(sockets.PREFIX))
    if text.startswith(sockets.PREFIX) and path.is_absolute():
        return "", 0, path
    host, colon, port = text.rpartition(":")
    if not (colon and host and port.isascii() and port.isdecimal() and int(port) < 65536):
        raise SettingError(
            f"{name} must be HOST:PORT, like 127.0.0.1:8284, or unix:PATH, not {text!r}"
        )
    return host.removeprefix("[").removesuffix("]"), int(port), None


def _storage(read: Reader) -> Path:
    return read.folder("STORAGE_DIR", default=environment.ROOT)


def _redis_url(read: Reader, name: str) -> str:
    text = read.text(name) or sockets.redis_url(_storage(read))
    text = with_password(text)
    try:
        ConnectionPool.from_url(text)
    except ValueError as error:
        # The value may contain a password, so it is not logged.
        raise SettingError(f"{name} must be an address like redis://127.0.0.1:8283/0") from error
    return text
