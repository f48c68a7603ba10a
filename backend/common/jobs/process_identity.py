"""The owner of a lease: a name of this process by which another can see that it died.

A killed worker cannot release its claim. The claim names machine and process: a sweep on the same
machine sees at once that the process is gone, one elsewhere waits until the lease expires.
"""

import os
import socket
from functools import lru_cache
from pathlib import Path
from typing import Final

_NAMESPACE_FILE: Final = Path("/proc/self/ns/pid")


def identity() -> str:
    """This process: `<host>/<pid namespace>/<pid>/<start time>`, at most 200 characters.

    A process number alone is not enough: it is reused, and each container has numbers of its own.
    """
    return _identity(os.getpid())


@lru_cache(maxsize=1)
def _identity(pid: int) -> str:
    return f"{_machine()}/{pid}/{_started(pid)}"


def is_gone(holder: str) -> bool:
    """Whether `holder` ran on this machine and has ended. False where that cannot be known."""
    machine, _, process = holder.rpartition("/")
    machine, _, pid = machine.rpartition("/")
    if machine != _machine() or not pid.isdecimal():
        return False
    return _started(int(pid)) != process


def host_and_pid(holder: str) -> tuple[str, int]:
    """The machine and the number of the process that `identity` named `holder`."""
    host, *_, pid, _ = holder.split("/")
    return host, int(pid)


def _machine() -> str:
    namespace = os.readlink(_NAMESPACE_FILE) if os.path.lexists(_NAMESPACE_FILE) else ""
    return f"{socket.gethostname()[:64]}/{namespace}"


def _started(pid: int) -> str:
    """When `pid` started, in clock ticks since boot (proc(5), stat, field 22); "" if none runs.

    A zombie has ended: it only waits for its parent to notice.
    """
    try:
        # The command in field 2 may hold spaces and parentheses; fields are counted behind it.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]
