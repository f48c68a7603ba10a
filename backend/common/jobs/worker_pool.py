"""The pool: loads the engine once, forks workers and the sweep from there, and replaces them.

pool ─┬─ worker   `worker.Worker`: a job after the other, in its own process
      ├─ worker
      └─ sweep    mends what was lost (`sweep.run`)

A child shares the memory of the loaded engine. One that crashed, was worn out or overstayed its
deadline is replaced; its row is found by the sweep and tried again.
"""

from __future__ import annotations

import ctypes
import gc
import logging
import multiprocessing
import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Any, Final

from django.conf import settings
from django.db import connections as databases
from django.utils.module_loading import import_string

from backend.common.jobs import sweep
from backend.common.jobs.worker import Deadline, Worker

logger = logging.getLogger(__name__)

_TICK_S: Final = 0.25
"""How often the pool looks for deadlines and for a signal to stop; it sees a death at once."""

_RESTART_PAUSE_S: Final = 1.0
"""Between two starts in one place: a child that ends at once must not be forked in a loop."""

_fork = multiprocessing.get_context("fork")

_STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)

_PR_SET_PDEATHSIG: Final = 1


class _Place:
    """One child of the pool, and its successors."""

    def __init__(self, target: Callable[[Deadline], None]) -> None:
        self._target = target
        self._deadline = _fork.Value("d", 0.0, lock=False)
        self._started_at = -_RESTART_PAUSE_S
        self.process: BaseProcess | None = None

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.is_alive()

    def fill(self) -> None:
        """Start a child if there is none."""
        if self.is_running or time.monotonic() < self._started_at + _RESTART_PAUSE_S:
            return
        if self.process is not None and self.process.exitcode:
            logger.warning("process %d ended with %d", self.process.pid, self.process.exitcode)
        self._started_at, self._deadline.value = time.monotonic(), 0.0
        self.process = _fork.Process(target=_begin, args=(self._target, self._deadline))
        with _signals_held():
            self.process.start()

    def kill_overdue(self) -> None:
        """Kill a child whose job goes on in spite of its deadline."""
        if self.is_running and 0 < self._deadline.value < time.monotonic():
            assert self.process is not None
            logger.error("a job hangs, its process is killed pid=%d", self.process.pid)
            self.process.kill()

    def stop(self) -> None:
        """Ask the child to end."""
        if self.process is not None:
            self.process.terminate()


class Pool:
    """`count` workers and one sweep."""

    def __init__(self, count: int) -> None:
        self._places = [*(_Place(_work) for _ in range(count)), _Place(sweep.run)]
        self._is_stopping = False

    def run(self) -> None:
        """Keep all places filled until SIGTERM or SIGINT; then wait for the running jobs."""
        for number in _STOP_SIGNALS:
            signal.signal(number, self._stop)
        while not self._is_stopping:
            for place in self._places:
                place.fill()
            self._watch()
        # Only now: a child that was being started when the signal came is asked too.
        for place in self._places:
            place.stop()
        while any(place.is_running for place in self._places):
            self._watch()

    def _stop(self, *_: object) -> None:
        self._is_stopping = True

    def _watch(self) -> None:
        """Until a child ends, or for a moment."""
        running = [place.process for place in self._places if place.process and place.is_running]
        wait([process.sentinel for process in running], timeout=_TICK_S)
        for place in self._places:
            place.kill_overdue()


def run(count: int) -> None:
    """Work until SIGTERM or SIGINT; then finish the running jobs and return."""
    import_string(settings.WORKER_WARM_UP)()
    # What is there now stays: a fork whose collector looked at it would copy all its memory.
    gc.collect()
    gc.freeze()
    # Forks must not share a connection.
    databases.close_all()
    logger.info("starting %d workers pid=%d", count, os.getpid())
    Pool(count).run()


def _work(deadline: Deadline) -> None:
    worker = Worker(uuid.uuid4().hex, deadline)
    for number in _STOP_SIGNALS:
        signal.signal(number, worker.stop)
    _release_signals()
    worker.run()


@contextmanager
def _signals_held() -> Iterator[None]:
    """For a fork: a signal to stop waits until the child has its own handlers."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
    try:
        yield
    finally:
        _release_signals()


def _release_signals() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS)


def _begin(target: Callable[[Deadline], None], deadline: Any) -> None:
    """Run `target` in a new child, which ends with the pool even if that is killed."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    pool = multiprocessing.parent_process()
    # It may have died before the kernel was asked to watch it.
    if pool is not None and os.getppid() == pool.pid:
        target(deadline)
