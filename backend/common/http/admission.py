"""Requests of a web process: few work at a time, many may wait for an answer of a worker.

There are as many threads as may wait and work together. Waiting costs next to nothing, but work
done by more threads than there are cores is done later, and SQLite gives way to one writer only and
to the others in no order.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse

WORKING: Final = 4
"""Requests of one process that work at a time."""

_seats: Final = threading.BoundedSemaphore(WORKING)


class _Here(threading.local):
    seated = False


_here: Final = _Here()


class SeatMiddleware:
    """A request works on a seat, which it leaves while it waits."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with _seats:
            _here.seated = True
            try:
                return self.get_response(request)
            finally:
                _here.seated = False


@contextmanager
def place() -> Iterator[bool]:
    """Whether there is a place to wait within the block; the seat is free meanwhile.

    Each that waits holds a thread. If all threads could, slow workers would make the whole service
    silent: uploads, pages, and the health check by which it would be restarted.
    """
    if not _places().acquire(blocking=False):
        yield False
        return
    seated = _here.seated
    if seated:
        _seats.release()
    try:
        yield True
    finally:
        if seated:
            _seats.acquire()
        _places().release()


@cache
def _places() -> threading.BoundedSemaphore:
    return threading.BoundedSemaphore(max(1, settings.FACES_WEB_THREADS * 3 // 4))
