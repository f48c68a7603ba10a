"""Where Redis and the backend listen unless a setting says so: on sockets in `STORAGE_DIR`/run.

Only the user who runs the service may open them. A port of the loopback interface is open to every
user and program of the machine.
"""

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
