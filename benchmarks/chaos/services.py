"""What faults strike: the service of `make run`, or several backends behind one nginx."""

import multiprocessing
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Event, Thread
from typing import Any, Final, Self

import redis

from backend.common.tests.bucket import BucketServer
from tests.support.scaled_stack import ScaledStack
from tests.support.service_process import parent
from tools import config
from tools.tests.launched import Launched, command_line
from wire import environment

# More attempts than by default: here an image may be struck more often than in a year.
SETTINGS: Final = {"FACES_MAX_RETRIES": "100", "FACES_RETRY_DELAY_S": "1"}

_KEEPER_PAUSE_S: Final = 0.5
_POOL: Final = "manage.py work"
_NAMES: Final = {
    "web": "gunicorn",
    "keeper": "tools.serve",
    "wsserver": "-m wsserver",
    "redis": "redis-server",
    "nginx": "nginx:",
}


class MadeRun(Launched):
    """The service of `make run`, whose supervisor starts again what ended."""

    def __enter__(self) -> Self:
        super().__enter__()
        return self.wait_for("Faces is ready")

    def pids(self) -> set[int]:
        """All its processes."""
        return self.processes()

    def redis_client(self) -> redis.Redis:
        """A client of its Redis."""
        url = config.read(self.environ, environment.defaults()).redis_url
        return redis.Redis.from_url(url, socket_timeout=5)


class Scaled(ScaledStack):
    """Several backends; each process that ended is started again, as a container is."""

    def __init__(self, **options: Any) -> None:
        super().__init__(nginx=True, **options)
        self._is_over: Final = Event()
        self._keeper: Final = Thread(target=self._keep, daemon=True)

    def start(self) -> None:
        """Start everything, and what keeps it running."""
        super().start()
        self._keeper.start()

    def close(self) -> None:
        """End everything; for good."""
        self._is_over.set()
        if self._keeper.is_alive():
            self._keeper.join(60)
        super().close()

    def pids(self) -> set[int]:
        """All its processes."""
        members = {pid for process in self.processes() for pid in process.members()}
        return members | ({self.redis.pid} if self.redis.running else set())

    def redis_client(self) -> redis.Redis:
        """A client of its Redis."""
        return self.redis.client(socket_timeout=5)

    def _keep(self) -> None:
        while not self._is_over.wait(_KEEPER_PAUSE_S):
            for process in self.processes():
                if not process.is_running:
                    process.start()
            self.redis.start()


Service = MadeRun | Scaled


def parts(service: Service) -> dict[str, list[int]]:
    """The living processes by kind; `pool` forks the workers, `keeper` the web processes."""
    lines = {pid: command_line(pid) for pid in sorted(service.pids())}
    pools = [pid for pid, line in lines.items() if _POOL in line]
    found = {kind: [pid for pid in lines if name in lines[pid]] for kind, name in _NAMES.items()}
    found["pool"] = [pid for pid in pools if parent(pid) not in pools]
    found["worker"] = [pid for pid in pools if parent(pid) in pools]
    return found


@contextmanager
def small_disk(folder: Path, mebibytes: int) -> Iterator[bool]:
    """A file system of its own at `folder`; yields whether this user may mount one."""
    options = f"size={mebibytes}m"
    command = ["mount", "-t", "tmpfs", "-o", options, "faces-chaos", str(folder)]
    with suppress(OSError):
        if subprocess.run(command, capture_output=True).returncode == 0:
            try:
                yield True
            finally:
                subprocess.run(["umount", "--lazy", str(folder)], check=True)
            return
    yield False


def bucket(stack: ExitStack) -> tuple[int, str]:
    """A process with a bucket of S3, and its address."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve_bucket, args=[theirs])
    process.start()
    assert process.pid is not None
    stack.callback(process.join)
    stack.callback(process.kill)
    return process.pid, ours.recv()


def _serve_bucket(connection: Connection) -> None:
    with BucketServer() as bucket:
        connection.send(bucket.url)
        signal.pause()
