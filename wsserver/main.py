"""Start: the settings from the environment, then the service until a signal ends it."""

import asyncio
import ipaddress
import logging
import os
import resource
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

from redis.asyncio import ConnectionPool

from wire import environment, feeds, logs
from wsserver.handshake.connection_limits import Network
from wsserver.request.auth import TokenVerifier
from wsserver.service import Settings, running

logger = logging.getLogger(__name__)

_OTHER_FILES: Final = 320
"""Files open besides the clients': Redis, the log, and sockets whose handshake is not done."""


class SettingError(Exception):
    """A setting that cannot be used; says which and why."""


def main() -> int:
    """Run until SIGTERM or SIGINT. 0: ended in order; 1: could not listen; 2: wrong settings."""
    _start_log("text", "INFO")
    try:
        environment.load()
        _start_log(
            _choice(os.environ, "FACES_LOG_FORMAT", logs.FORMATS),
            _choice(os.environ, "FACES_LOG_LEVEL", ("DEBUG", "INFO", "WARNING", "ERROR")),
        )
        settings = read_settings(os.environ)
    except (SettingError, environment.SettingsFileError) as error:
        logger.critical("%s", error)
        return 2
    _raise_file_limit(settings.max_connections)
    try:
        asyncio.run(_serve(settings))
    except OSError as error:
        logger.critical("cannot listen on %s:%d: %s", settings.host, settings.port, error)
        return 1
    return 0


def read_settings(environ: Mapping[str, str]) -> Settings:
    """The settings; raises `SettingError` for the first that cannot be used."""
    host, port = _bind(environ, "FACES_WS_BIND")
    return Settings(
        redis_url=_redis_url(environ, "CACHE_BACKEND_URL"),
        host=host,
        port=port,
        max_connections=_integer(environ, "FACES_WS_MAX_CONNECTIONS", at_least=1),
        max_connections_per_address=_integer(environ, "FACES_WS_MAX_CONNECTIONS_PER_ADDRESS"),
        trusted_proxies=_networks(environ, "FACES_WS_TRUSTED_PROXIES"),
        send_buffer_bytes=_integer(environ, "FACES_WS_SEND_BUFFER_BYTES", at_least=4096),
        # All that is in the stream, and as much that was trimmed from it.
        dedup_window=2 * _integer(environ, "FACES_EVENT_STREAM_MAXLEN", at_least=1),
        verifier=TokenVerifier(
            signing_key=feeds.signing_key(_value(environ, "DJANGO_SECRET_KEY")),
            token_required=_flag(environ, "FACES_REQUIRE_API_KEY"),
        ),
    )


def _start_log(kind: str, level: str) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logs.formatter(kind))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("wsserver").setLevel(level)
    # Its own lines are about single connections and may show what clients sent.
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
            # Raises what ended it, and so ends the process: better restarted than deaf.
            await service.reading
        logger.info("stopping")


def _raise_file_limit(connections: int) -> None:
    """A socket is an open file, and the usual limit of 1024 is meant for other programs."""
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


def _value(environ: Mapping[str, str], name: str) -> str:
    try:
        return environ[name].strip()
    except KeyError as error:
        raise SettingError(f"{name} is not set, and default.env does not name it") from error


def _choice(environ: Mapping[str, str], name: str, choices: Sequence[str]) -> str:
    text = _value(environ, name)
    if text not in choices:
        raise SettingError(f"{name} must be one of {', '.join(choices)}, not {text!r}")
    return text


def _integer(environ: Mapping[str, str], name: str, *, at_least: int = 0) -> int:
    text = _value(environ, name)
    if not (
        text.isascii() and text.isdecimal() and len(text) <= 10 and at_least <= int(text) < 1 << 31
    ):
        raise SettingError(f"{name} must be a whole number from {at_least} up, not {text!r}")
    return int(text)


def _flag(environ: Mapping[str, str], name: str) -> bool:
    """The same words as the backend's settings understand."""
    text = _value(environ, name).lower()
    if text not in ("1", "true", "yes", "on", "", "0", "false", "no", "off"):
        raise SettingError(f"{name} must be true or false, not {text!r}")
    return text in ("1", "true", "yes", "on")


def _bind(environ: Mapping[str, str], name: str) -> tuple[str, int]:
    text = _value(environ, name)
    host, colon, port = text.rpartition(":")
    if not (colon and host and port.isascii() and port.isdecimal() and int(port) < 65536):
        raise SettingError(f"{name} must be HOST:PORT, like 127.0.0.1:8284, not {text!r}")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _networks(environ: Mapping[str, str], name: str) -> tuple[Network, ...]:
    text = _value(environ, name)
    try:
        return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise SettingError(f"{name} must list addresses or networks: {error}") from error


def _redis_url(environ: Mapping[str, str], name: str) -> str:
    text = _value(environ, name)
    try:
        ConnectionPool.from_url(text)
    except ValueError as error:
        # The value may hold a password and stays out of the log.
        raise SettingError(f"{name} must be an address like redis://127.0.0.1:8283/0") from error
    return text
