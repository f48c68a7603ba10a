"""Configuration of gunicorn, the same in Docker and under `make run`."""

import os
import sys
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

from gunicorn import sock as listeners  # type: ignore[import-untyped]
from gunicorn import util

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from faceengine import processor  # noqa: E402
from wire import environment  # noqa: E402

processor.require()

environment.load()

# The socket is the parent's, and connections wait in it while gunicorn is restarted.
listening = os.environ.get("FACES_LISTEN_FD")
bind = f"fd://{listening}" if listening else os.environ["FACES_BACKEND_BIND"]
worker_class = "gthread"
workers = int(os.environ["FACES_WEB_PROCESSES"])
threads = int(os.environ["FACES_WEB_THREADS"])
# Django is loaded once and shared by the forks; nothing in it may connect anywhere while it loads.
preload_app = True
# For running requests at SIGTERM; nginx has read the whole upload before, so none takes long.
graceful_timeout = 30
timeout = 120
keepalive = 5
# nginx takes 32 KiB of headers at most, and no line over 8 KiB; the rest of the bounds are its own.
limit_request_line = 8190
limit_request_field_size = 8190
limit_request_fields = 32768
# Its heartbeat files in memory: on a busy disk a healthy process would look dead.
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
# nginx logs every request with its id already.
accesslog = None
errorlog = "-"
loglevel = "warning"
# In the form of all others, and scrubbed: a line about a bad request repeats what was asked for.
logconfig_dict = {
    "root": None,  # the parent has Django's there, which names request and client
    "formatters": {
        "generic": {"()": "wire.logs.formatter", "kind": os.environ["FACES_LOG_FORMAT"]}
    },
    "loggers": {
        "gunicorn.error": {"level": "WARNING", "handlers": ["error_console"], "propagate": False}
    },
}
# Its default would be one socket in the home folder for all services of this user.
control_socket_disable = True

if listening:
    # It would delete the path of a socket that goes on listening.
    _close = listeners.close_sockets
    listeners.close_sockets = lambda sockets, unlink=True: _close(sockets, unlink=False)

_MAX_UNREAD_BYTES = 256 << 20


def post_request(worker: Any, req: Any, environ: Any, resp: Any) -> None:
    """Read the rest of the body, which nginx is still sending.

    An answer may come before the body is read, for example a 405. A socket that is closed with
    unread bytes resets the connection, and nginx then answers 502 in place of the 405.
    """
    left = _MAX_UNREAD_BYTES
    with suppress(OSError):
        while left > 0 and (data := req.body.read(1 << 16)):
            left -= len(data)


def _write_error(sock: Any, status_int: int, reason: str, mesg: str) -> None:
    """An error of gunicorn in the shape of all our errors; its own text repeats the request."""
    detail = "Bad request." if status_int < 500 else "Something went wrong here."
    body = f'{{"detail": "{detail}"}}'
    head = (
        f"HTTP/1.1 {status_int} {HTTPStatus(status_int).phrase}",
        "Connection: close",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    )
    util.write_nonblock(sock, "\r\n".join((*head, "", body)).encode())


util.write_error = _write_error
