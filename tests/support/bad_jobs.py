"""Jobs that break their worker. Each takes the id of a submission and claims it first."""

import ctypes
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
    """For ever in C code that holds the interpreter's lock, where no signal handler runs.

    A mutex that is locked twice: no signal ends that wait, and it takes no time of the processor.
    """
    Submission.claim(id)
    mutex = ctypes.create_string_buffer(64)  # zeros are PTHREAD_MUTEX_INITIALIZER
    for _ in range(2):
        ctypes.PyDLL(None).pthread_mutex_lock(mutex)


def sleep(id: str) -> None:
    """Until it is stopped from the page of the queue."""
    Submission.claim(id)
    time.sleep(3600)


def grow(id: str) -> None:
    """Do the work, and keep 300 MiB."""
    _kept.append(bytearray(b"\1" * (300 << 20)))
    process(id)
