"""Admission control: at most 4 requests of a process run at a time; more may wait for a worker.

Up to ¾ of the process's threads may block on a worker's result, which costs next to nothing.
Running more requests than there are cores only delays each, and SQLite serves concurrent writers
one at a time and in no order.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from functools import cache
from typing import Final, Self

from django.conf import settings
from django.http import HttpRequest, HttpResponse

MAX_RUNNING: Final = 4

_running: Final = threading.BoundedSemaphore(MAX_RUNNING)


class _RunSlot:
    """A request's permission to run, one of `MAX_RUNNING` in the process."""

    def __enter__(self) -> Self:
        _running.acquire()
        return self

    def __exit__(self, *error: object) -> None:
        _running.release()

    @contextmanager
    def given_up(self) -> Iterator[None]:
        """Another request may run within the block."""
        _running.release()
        try:
            yield
        finally:
            _running.acquire()


_run_slot: Final[ContextVar[_RunSlot | None]] = ContextVar("run_slot", default=None)
"""The slot of the request that this thread serves; None outside of a request."""


caller_key: Final[ContextVar[str | None]] = ContextVar("caller_key", default=None)
"""The caller as limits count it: a client, a member, or an address; None outside of a request.

Of what the callers of a process share, decoders and waiting threads, each gets a part.
"""


class ConcurrencyLimitMiddleware:
    """Holds a run slot for each request."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with _RunSlot() as slot:
            token = _run_slot.set(slot)
            try:
                return self.get_response(request)
            finally:
                _run_slot.reset(token)


@contextmanager
def blocking_wait_slot() -> Iterator[bool]:
    """Whether the thread may block within the block; the request's run slot is given up meanwhile.

    The number is bounded because each waiting request holds a thread: if all threads could wait,
    slow workers would stop uploads, pages and the health check, and cause a restart.
    """
    slots = _wait_slots()
    if not slots.acquire(blocking=False):
        yield False
        return
    try:
        run_slot = _run_slot.get()
        with run_slot.given_up() if run_slot else nullcontext():
            yield True
    finally:
        slots.release()


@cache
def _wait_slots() -> threading.BoundedSemaphore:
    return threading.BoundedSemaphore(max(1, settings.FACES_WEB_THREADS * 3 // 4))
