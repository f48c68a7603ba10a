"""A bound of processor time that only what is worse than linear can reach."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

_BOUND_S: Final = 20.0


class TookTooLong(AssertionError):
    """The block took more processor time than anything linear in its input."""


@contextmanager
def bounded_cpu(bound_s: float = _BOUND_S) -> Iterator[None]:
    """Interrupt the block, regular expressions too, after so much time of this process."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise TookTooLong(f"more than {bound_s} s of processor time")

    before = signal.signal(signal.SIGPROF, interrupt)
    signal.setitimer(signal.ITIMER_PROF, bound_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
