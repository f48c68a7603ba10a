"""A real Redis for tests: its own process, on a free loopback port, in a directory of its own.

    with RedisServer() as server:
        client = server.client()
        server.kill()       # as a crash would
        server.start()      # same port; what was on disk is there again

It can also live as long as a test case: `cls.enterClassContext(RedisServer())`.
"""

import atexit
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import redis

_START_TIMEOUT_S: Final = 180.0
_STOP_TIMEOUT_S: Final = 180.0
_PORT_ATTEMPTS: Final = 5


class RedisMissing(Exception):
    """There is no `redis-server` on PATH, or it did not start."""


class RedisServer:
    """One Redis process. Starts on entering the context or by `start()`.

    What survives: `stop()` and `restart()` save everything; `kill()` is kill -9, after which only
    what `append_only` wrote (every command, synced) is there again.
    """

    def __init__(self, *, append_only: bool = False) -> None:
        self.append_only: Final = append_only
        self.port = 0
        self._folder = tempfile.TemporaryDirectory(prefix="faces-redis-")
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """The process, which must run."""
        assert self._process is not None, "Redis is not running"
        return self._process.pid

    @property
    def url(self) -> str:
        """Address for `CACHE_BACKEND_URL`; the same after every restart."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        return self._process is not None and self._process.poll() is None

    def client(self, **options: Any) -> redis.Redis:
        """A new client that reads and writes text; `options` go to `redis.Redis.from_url`."""
        return redis.Redis.from_url(self.url, **{"decode_responses": True, **options})

    def start(self) -> None:
        """Start, or start again on the same port, and wait until it answers."""
        if self.running:
            return
        atexit.register(self.close)
        attempts = _PORT_ATTEMPTS if not self.port else 1
        for attempt in range(attempts):
            port = self.port or free_port()
            if self._try_start(port):
                self.port = port
                return
            if attempt == attempts - 1:
                raise RedisMissing(f"redis-server did not start: {self._log()}")

    def stop(self) -> None:
        """Shut down in order, saving everything; `start()` brings it back."""
        if self.running:
            # Redis drops its clients at once and saves, then exits.
            with suppress(redis.RedisError), self.client() as client:
                client.shutdown(save=True)
        self._wait()

    def kill(self) -> None:
        """End it as kill -9 does: no goodbye to clients, nothing saved."""
        if self._process is not None:
            self._process.kill()
        self._wait()

    def restart(self) -> None:
        """Stop and start on the same port, with the data kept."""
        self.stop()
        self.start()

    def flush(self) -> None:
        """Empty it: all databases."""
        with self.client() as client:
            client.flushall()

    def close(self) -> None:
        """End the process and remove its directory; for good."""
        self.kill()
        self._folder.cleanup()
        atexit.unregister(self.close)

    def _try_start(self, port: int) -> bool:
        with open(self._log_path, "wb") as log:
            self._process = subprocess.Popen(self._command(port), stdout=log, stderr=log)
        deadline = time.monotonic() + _START_TIMEOUT_S
        while self.running and time.monotonic() < deadline:
            if _answers(port, self._process.pid):
                return True
            time.sleep(0.01)
        self.kill()
        return False

    def _command(self, port: int) -> list[str]:
        executable = shutil.which("redis-server")
        if executable is None:
            raise RedisMissing("No redis-server on PATH; on Debian: apt-get install redis-server")
        options = {
            "port": str(port),
            "bind": "127.0.0.1",
            "dir": self._folder.name,
            # Nothing is saved on its own, so that kill() loses what a crash would lose.
            "save": "",
            "appendonly": "yes" if self.append_only else "no",
            "appendfsync": "always",
        }
        return [executable, *(part for k, v in options.items() for part in (f"--{k}", v))]

    @property
    def _log_path(self) -> Path:
        return Path(self._folder.name, "redis.log")

    def _log(self) -> str:
        return self._log_path.read_text(errors="replace")[-1000:]

    def _wait(self) -> None:
        if self._process is None:
            return
        try:
            self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def free_port() -> int:
    """A free port on the loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(port: int, pid: int) -> bool:
    """Whether the Redis at `port` is ready, and is `pid` rather than another on that port."""
    try:
        with redis.Redis(port=port, socket_timeout=1) as client:
            return client.ping() is True and _process_id(client) == pid
    except redis.RedisError:
        return False


def _process_id(client: redis.Redis) -> int:
    information: dict[str, Any] = client.info("server")
    return int(information["process_id"])
