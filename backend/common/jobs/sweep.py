"""The sweep: mends what was lost, again and again, in a process of its own beside the workers.

Each app's own step (`settings.SWEEPS`), then for every kind of job: release the rows of dead
workers, enqueue the due rows that are in no queue. Any number of sweeps may run at once, and any
may be killed: each step is a conditional update or can be done twice.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import redis
from django.conf import settings
from django.db import connections as databases
from django.utils.module_loading import import_string

from backend.common.jobs import runner
from backend.common.jobs.models import kinds

logger = logging.getLogger(__name__)


def run(_: Any) -> None:
    """Sweep until SIGTERM, or until the pool is gone."""
    # Ctrl-C reaches all processes of a terminal; the pool ends the sweep.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT, signal.SIGTERM])
    pool = os.getppid()
    while os.getppid() == pool:
        once()
        time.sleep(settings.FACES_SWEEP_INTERVAL_S)


def once() -> None:
    """One round; a step that fails keeps no other from being done."""
    for step in _steps():
        try:
            step()
        except redis.RedisError as error:
            logger.warning("Redis is out of reach, the sweep goes on without: %s", error)
        except Exception:  # the edge of the process: the next round tries again
            logger.exception("a sweep failed")
            databases.close_all()


def _steps() -> Iterator[Callable[[], object]]:
    yield from map(import_string, settings.SWEEPS)
    for model in kinds():
        yield partial(runner.release_lost, model)
        yield partial(runner.enqueue_lost, model)
