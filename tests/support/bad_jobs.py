"""Jobs that break their worker. Each takes the id of a submission and claims it first."""

import collections
import itertools
import os
import signal
import time

from backend.submissions.models import Submission
from backend.submissions.services import process

_kept: list[bytearray] = []


def crash(id: str) -> None:
    """As a fault in C code does."""
    Submission.claim(id)
    os.kill(os.getpid(), signal.SIGSEGV)


def hang(id: str) -> None:
    """For ever in C code that holds the interpreter's lock, where no signal handler runs."""
    Submission.claim(id)
    collections.deque(itertools.repeat(None), maxlen=0)


def sleep(id: str) -> None:
    """Until it is stopped from the page of the queue."""
    Submission.claim(id)
    time.sleep(3600)


def grow(id: str) -> None:
    """Do the work, and keep 300 MiB."""
    _kept.append(bytearray(b"\1" * (300 << 20)))
    process(id)
