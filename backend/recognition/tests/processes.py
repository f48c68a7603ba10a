"""Processes that make calls, and are killed at a given step."""

import os
import pkgutil
import signal
import traceback
from collections.abc import Callable, Sequence
from unittest import mock

from django.db import connections

KILLED = -signal.SIGKILL


def run(*jobs: Callable[[], object]) -> list[int]:
    """Run each in a process of its own, all at the same time; returns their exit codes."""
    # A fork must not share a connection, not even to close it.
    connections.close_all()
    pids = [_forked(job) for job in jobs]
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]


def killed_at(step: str, *, after: bool, job: Callable[[], object]) -> int:
    """Run `job` in a process that is killed before or after it runs `step`, a dotted name."""

    def until_then() -> None:
        real = pkgutil.resolve_name(step)

        def die(*args: object, **kwargs: object) -> object:
            if after:
                real(*args, **kwargs)
            os.kill(os.getpid(), signal.SIGKILL)
            raise AssertionError("unreachable")

        with mock.patch(step, die):
            job()

    (status,) = run(until_then)
    return status


def failures(statuses: Sequence[int]) -> list[int]:
    return [status for status in statuses if status]


def _forked(job: Callable[[], object]) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        job()
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
