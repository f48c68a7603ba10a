"""Requests and writes that race: begun together, each in a thread of its own."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from django.db import connection

T = TypeVar("T")

_TOGETHER_S: Final = 60


def at_once(acts: Sequence[Callable[[], T]]) -> list[T]:
    """What each of `acts` returned, in their order; raises what the first of them raised."""
    together = threading.Barrier(len(acts))

    def run(act: Callable[[], T]) -> T:
        try:
            together.wait(_TOGETHER_S)
            return act()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(acts)) as threads:
        return list(threads.map(run, acts))
