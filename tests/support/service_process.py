"""One process of the service under test, with everything that it starts."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

_TAIL_BYTES: Final = 6000
_POLL_S: Final = 0.02


class ServiceProcess:
    """Runs in a session of its own, so that what it forks can be found again and ended with it.

    What it prints goes to the end of the file `log`, over all its starts.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        environ: Mapping[str, str],
        log: Path,
        cwd: Path,
        stop_signal: str = "TERM",
    ) -> None:
        self.name: Final = name
        self.log: Final = log
        self._command: Final = command
        self._environ: Final = environ
        self.cwd = cwd
        """Where it runs from its next start on."""
        self._stop_signal: Final = signal.Signals[f"SIG{stop_signal}"]
        self._process: subprocess.Popen[bytes] | None = None
        # Every session it ever had: what outlived one start is ended with the next.
        self._sessions: set[int] = set()

    @property
    def pid(self) -> int:
        """The process itself, not what it forked."""
        assert self._process is not None, f"{self.name} was never started"
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the process itself runs."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it; does not wait until it answers."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self.cwd,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._sessions.add(self._process.pid)

    def terminate(self) -> None:
        """Ask it to end: its stop signal to the process itself, as a process manager does."""
        if self.is_running:
            os.kill(self.pid, self._stop_signal)

    def wait(self, timeout_s: float = 180) -> int:
        """Its exit code, once it has ended."""
        assert self._process is not None
        return self._process.wait(timeout_s)

    def stop(self, timeout_s: float = 180) -> int:
        """End it in order and return its exit code; what it left behind is killed."""
        self.terminate()
        try:
            return self.wait(timeout_s)
        finally:
            self.kill()

    def kill(self) -> None:
        """Kill -9 for it and for all that it started."""
        if self._process is None:
            return
        deadline = time.monotonic() + 10
        while members := self.members():
            for pid in members:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._process.poll()
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.name}: {members} do not end")
            time.sleep(_POLL_S)
        self._process.wait()
        # Their numbers may be given to others from now on.
        self._sessions.clear()

    def kill_alone(self) -> None:
        """Kill -9 for the process itself; what it started lives on without it."""
        os.kill(self.pid, signal.SIGKILL)
        self.wait()

    def members(self) -> list[int]:
        """The process and all that it started, without what has ended already."""
        return [pid for pid in all_pids() if session(pid) in self._sessions]

    def output(self) -> str:
        """All that it has printed."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def tail(self) -> str:
        """The end of what it has printed, under its name."""
        return f"--- {self.name} ({self.log})\n{self.output()[-_TAIL_BYTES:]}"


def all_pids() -> list[int]:
    """Every process of this machine."""
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]


def session(pid: int) -> int | None:
    """The session of a process; None if it has ended."""
    fields = _stat(pid)
    return None if fields is None else int(fields[3])


def parent(pid: int) -> int | None:
    """The process that started `pid`; None if that has ended."""
    fields = _stat(pid)
    return None if fields is None else int(fields[1])


def is_alive(pid: int) -> bool:
    """Whether `pid` runs; one that only waits for its parent to notice its end does not."""
    return _stat(pid) is not None


def _stat(pid: int) -> list[str] | None:
    """The fields of proc(5), stat, from the state on."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields
