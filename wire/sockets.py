"""Where the processes behind nginx listen by default: on sockets in `STORAGE_DIR`/run.

Only the user who runs the service may open them. A port of the loopback interface is open to every
user and program of the machine.
"""

import os
import socket
from pathlib import Path
from typing import Final
from urllib.parse import quote

PREFIX: Final = "unix:"
"""Begins the address of a socket, as in nginx and gunicorn; its path follows."""

MAX_PATH_BYTES: Final = 107
"""Of a socket's path: `sun_path` of unix(7), without the zero at its end."""

MODE: Final = 0o600


def redis_url(storage: Path) -> str:
    """What an empty `CACHE_BACKEND_URL` means: the Redis that `make run` starts."""
    return f"unix://{quote(str(storage / 'run' / 'redis.sock'))}"


def backend(storage: Path) -> str:
    """What an empty `FACES_BACKEND_BIND` means."""
    return f"{PREFIX}{storage / 'run' / 'backend.sock'}"


def wsserver(storage: Path) -> str:
    """What an empty `FACES_WS_BIND` means."""
    return f"{PREFIX}{storage / 'run' / 'wsserver.sock'}"


def listen(path: Path, *, backlog: int) -> socket.socket:
    """A listening socket at `path`, which only this user may open. Raises `OSError`."""
    # Left by one that was killed; the launcher has found one that lives (`ports.require_free`).
    path.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX)
    # At its creation: a moment later others could have opened it.
    mask = os.umask(0o777 & ~MODE)
    try:
        listening.bind(str(path))
        listening.listen(backlog)
    except OSError:
        listening.close()
        raise
    finally:
        os.umask(mask)
    return listening
