"""The faults: each strikes a running service, and has passed when its call returns."""

import os
import random
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

import redis

from benchmarks.chaos.services import Scaled, Service, parts
from tests.support.postgres_server import PostgresServer

Fault = Callable[[], None]

FULL_DISK: Final = "fill the disk"
"""Refused then is every upload, and has to be."""

_SHORT_S: Final = (0.2, 3.0)
_CHUNK: Final = b"\0" * 2**20
_KILLED: Final = ("worker", "pool", "web", "keeper", "wsserver", "redis", "nginx")


class Faults:
    """All that `service` can suffer; `choice` decides who is struck and for how long."""

    def __init__(
        self,
        service: Service,
        choice: random.Random,
        *,
        postgresql: PostgresServer | None,
        bucket_pid: int,
        disk: Path | None,
    ) -> None:
        self._service: Final = service
        self._choice: Final = choice
        self.all: Final[dict[str, Fault]] = {
            **{f"kill a process: {kind}": self._killer(kind) for kind in _KILLED},
            **{f"freeze a process: {kind}": self._freezer(kind) for kind in _KILLED},
            "kill all web processes": lambda: self._kill(self._parts("web", "keeper")),
            "kill all workers": lambda: self._kill(self._parts("worker", "pool")),
            "empty Redis": self._empty_redis,
        }
        if isinstance(service, Scaled):
            self.all["kill a backend with all it started"] = self._kill_backend
        if disk is not None:
            self.all[FULL_DISK] = lambda: self._fill(disk / "filler")
        if postgresql is not None:
            self.all["restart PostgreSQL"] = lambda: self._leave_out(postgresql, 0)
            self.all["PostgreSQL is gone"] = lambda: self._leave_out(postgresql, self._pause_s())
        if bucket_pid:
            self.all["freeze S3"] = lambda: self._freeze([bucket_pid])

    def _pause_s(self) -> float:
        return self._choice.uniform(*_SHORT_S)

    def _parts(self, *kinds: str) -> list[int]:
        found = parts(self._service)
        return [pid for kind in kinds for pid in found[kind]]

    def _killer(self, kind: str) -> Fault:
        return lambda: self._kill(self._one_of(kind))

    def _freezer(self, kind: str) -> Fault:
        return lambda: self._freeze(self._one_of(kind))

    def _one_of(self, kind: str) -> list[int]:
        found = self._parts(kind)
        return [self._choice.choice(found)] if found else []

    def _kill(self, pids: Iterable[int]) -> None:
        for pid in pids:
            _send(pid, signal.SIGKILL)

    def _freeze(self, pids: Iterable[int]) -> None:
        frozen = list(pids)
        try:
            for pid in frozen:
                _send(pid, signal.SIGSTOP)
            time.sleep(self._pause_s())
        finally:
            for pid in frozen:
                _send(pid, signal.SIGCONT)

    def _kill_backend(self) -> None:
        assert isinstance(self._service, Scaled)
        self._choice.choice([self._service.web, *self._service.more_web]).kill()

    def _empty_redis(self) -> None:
        # It may be down from the fault before.
        with suppress(redis.RedisError), self._service.redis_client() as client:
            client.flushall()

    def _fill(self, filler: Path) -> None:
        try:
            with suppress(OSError), filler.open("wb", buffering=0) as file:
                while True:
                    file.write(_CHUNK)
            time.sleep(self._pause_s())
        finally:
            filler.unlink(missing_ok=True)

    def _leave_out(self, server: PostgresServer, seconds: float) -> None:
        server.stop()
        time.sleep(seconds)
        server.start()


def _send(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
