"""The launcher as a person starts it: a process, on free ports, in a folder of its own."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.support.prepared import Prepared
from tools.shell import ROOT
from wire import environment

_TIMEOUT_S: Final = 180.0
_MARK: Final = "FACES_LAUNCHED_BY_TEST"
# Below the ports that the kernel gives to clients, one of which could take a free one.
_PORTS: Final = iter(range(8_400 + os.getpid() % 100 * 60, 15_000))


class Launched:
    """One run of `python -m tools.run`; what it prints is in `output`.

    Without `storage` it has a new folder whose database is up to date already.
    """

    def __init__(self, *, storage: Path | None = None, **settings: str) -> None:
        self._folder: Final = tempfile.TemporaryDirectory(prefix="faces-run-")
        self.storage: Final = storage or Path(self._folder.name, "a folder")
        self._is_prepared: Final = storage is None
        self.settings: Final = settings
        self._log: Final = Path(self._folder.name, "log")
        self.process: subprocess.Popen[bytes]
        self._sessions: set[int] = set()

    def __enter__(self) -> Self:
        self.environ = {**os.environ, **environment.defaults(), **self._addresses()}
        self.environ |= {"FACES_WORKERS": "1", _MARK: self._folder.name, **self.settings}
        if self._is_prepared:
            Prepared.once(self.environ).fill(self.storage)
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tools.run"],
                cwd=ROOT,
                env=self.environ,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.process.kill()
        self.process.wait()
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._folder.cleanup()

    def _addresses(self) -> dict[str, str]:
        return {"STORAGE_DIR": str(self.storage), "FACES_PORT": str(free_port())}

    @property
    def url(self) -> str:
        """Where nginx listens."""
        return f"http://127.0.0.1:{self.environ['FACES_PORT']}"

    @property
    def output(self) -> str:
        """What it and its processes have printed."""
        return self._log.read_text(errors="replace")

    def wait_for(self, words: str) -> Self:
        """Wait until `words` have been printed."""
        wait_until(lambda: words in self.output, f"{words!r} is printed", lambda: self.output)
        self.processes()
        return self

    def stop(self, number: int) -> int:
        """Send a signal to the launcher alone; returns its exit code."""
        self.processes()
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Its exit code, once it has ended."""
        return self.process.wait(_TIMEOUT_S)

    def processes(self) -> set[int]:
        """All processes of this run that are alive.

        They are known by a mark in their environment; Redis and nginx write their titles over
        theirs, and are known by the session that they share with supervisor.
        """
        mark = f"{_MARK}={self._folder.name}\0".encode()
        alive = {pid: _session(pid) for pid in _pids()}
        self._sessions |= {alive[pid] for pid in alive if mark in _environment(pid)} - {0}
        return {pid for pid, session in alive.items() if session in self._sessions}

    def named(self, *words: str) -> set[int]:
        """Those of them whose command line has all `words`."""
        return {pid for pid in self.processes() if all(w in command_line(pid) for w in words)}


def command_line(pid: int) -> str:
    """The command line of a process, empty if it has ended."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").replace("\0", " ")
    return ""


def free_port() -> int:
    """A loopback port that nothing listens on, and that was not given out before."""
    for port in _PORTS:
        with suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


def wait_until(
    condition: Callable[[], object], what: str, why: Callable[[], str] = lambda: ""
) -> None:
    """Wait until `condition` holds; fails with `what` was waited for."""
    deadline = time.monotonic() + _TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}\n{why()}"
        time.sleep(0.02)


def _pids() -> Iterable[int]:
    return [int(path.name) for path in Path("/proc").glob("[0-9]*")]


def _session(pid: int) -> int:
    """Its session, 0 if it has ended (a zombie has, too)."""
    with suppress(OSError):
        state, _, _, session = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:4]
        return int(session) if state != "Z" else 0
    return 0


def _environment(pid: int) -> bytes:
    with suppress(OSError):
        return Path(f"/proc/{pid}/environ").read_bytes()
    return b""
