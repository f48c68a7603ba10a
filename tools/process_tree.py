"""Leaving no process behind: everything that descends from the launcher is found and ended.

A process whose parent dies is handed by the kernel to its nearest living ancestor that asked for
such orphans (PR_SET_CHILD_SUBREAPER). The launcher asks, so whatever crashed in between, what is
left over becomes a child of the launcher and can be ended here.
"""

import ctypes
import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
_POLL_S: Final = 0.05

_libc: Final = ctypes.CDLL(None, use_errno=True)


def adopt_orphans() -> None:
    """From now on orphans among the descendants of this process become its children."""
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_with_parent() -> None:
    """Called in a new child: SIGTERM when its parent dies, by whatever cause."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def rename(title: str) -> None:
    """Show `title` as the command line of this process, as far as there is room for it.

    It is written where the kernel keeps the arguments (proc(5): stat, fields 48 and 49).
    """
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, end = int(fields[45]), int(fields[46])
    room = end - start
    if start and room > 1:
        ctypes.memmove(start, title.encode()[: room - 1].ljust(room, b"\0"), room)


def name(pid: int) -> str:
    """The program of a process, cut to 15 bytes (proc(5): comm); empty if it has ended."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def children() -> set[int]:
    """The children of this process that are alive, the dead ones taken note of."""
    return {pid for pid in _listed() if not _reap(pid)}


def _listed() -> set[int]:
    found: set[int] = set()
    for task in Path("/proc/self/task").iterdir():
        with suppress(OSError):
            found.update(int(pid) for pid in (task / "children").read_text().split())
    return found


def _reap(pid: int) -> bool:
    """Whether the child has ended; the kernel forgets it then."""
    with suppress(ChildProcessError):
        return os.waitpid(pid, os.WNOHANG)[0] != 0
    return True


def end_children(*, patience_s: float) -> None:
    """End all children and what they leave behind: asked first, after `patience_s` made to."""
    deadline = time.monotonic() + patience_s
    asked: set[int] = set()
    while alive := children():
        late = time.monotonic() > deadline
        for pid in alive if late else alive - asked:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL if late else signal.SIGTERM)
        asked |= alive
        time.sleep(_POLL_S)
