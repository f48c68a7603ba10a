"""The sweep: mends what was lost, again and again, in a process of its own beside the workers.

Any number of sweeps may run at once, and any may be killed: each step (`settings.SWEEPS`) is a
conditional update or can be done twice.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import connections as databases
from django.utils.module_loading import import_string

logger = logging.getLogger(__name__)


def run(_: Any) -> None:
    """Sweep until SIGTERM, or until the pool is gone."""
    # Ctrl-C reaches all processes of a terminal; the pool ends the sweep.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT, signal.SIGTERM])
    pool, steps = os.getppid(), [import_string(name) for name in settings.SWEEPS]
    while os.getppid() == pool:
        once(steps)
        time.sleep(settings.FACES_SWEEP_INTERVAL_S)


def once(steps: list[Callable[[], object]]) -> None:
    for step in steps:
        try:
            step()
        except Exception:  # the edge of the process: the next round tries again
            logger.exception("a sweep failed")
            databases.close_all()
