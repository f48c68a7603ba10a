"""Work while Redis is away: due rows are taken straight from the database, each by a fork.

The queue only tells workers which row to look at; rows are claimed in the database all the same, so
that nothing is done twice when Redis comes back in the middle.
"""

from __future__ import annotations

import logging
import multiprocessing
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import connections as databases
from django.utils import timezone
from django.utils.module_loading import import_string

from backend.common.jobs import queues
from backend.common.jobs.work import Status, Work

logger = logging.getLogger(__name__)

_fork = multiprocessing.get_context("fork")

Row = tuple[type[Work], Any]


@dataclass(frozen=True)
class _Job:
    process: BaseProcess
    ends_at: float


class Hands:
    """At most `count` rows in work at a time; `begin` is what each fork does first."""

    def __init__(self, count: int, *, begin: Callable[[], None]) -> None:
        self._count = count
        self._begin = begin
        self._jobs: dict[Row, _Job] = {}

    def take_up(self) -> None:
        """Start on what is due, the most urgent first, as far as hands are free."""
        self.let_go()
        if len(self._jobs) < self._count:
            for row in _due(self._count):
                if len(self._jobs) < self._count and row not in self._jobs:
                    self._jobs[row] = self._start(*row)

    def let_go(self) -> None:
        """Forget what has ended, and end what takes too long: the sweep sees to its row."""
        for row, job in list(self._jobs.items()):
            if job.process.is_alive() and time.monotonic() > job.ends_at:
                logger.warning("took too long %s=%s", row[0]._meta.model_name, row[1])
                job.process.kill()
            if not job.process.is_alive():
                job.process.join()
                del self._jobs[row]

    def _start(self, model: type[Work], pk: Any) -> _Job:
        # Forks must not share a connection.
        databases.close_all()
        process = _fork.Process(target=self._work, args=(model, pk), name=f"{model.task} {pk}")
        process.start()
        return _Job(process, time.monotonic() + settings.FACES_JOB_TIMEOUT_S)

    def _work(self, model: type[Work], pk: Any) -> None:
        self._begin()
        import_string(model.task)(str(pk))


def _due(count: int) -> Iterator[Row]:
    """Twice as many rows of each kind as could be begun: some of them are in work already."""
    kinds = [model for model in apps.get_models() if issubclass(model, Work)]
    for model in sorted(kinds, key=lambda kind: queues.IN_ORDER.index(kind.queue)):
        rows = model._default_manager.filter(status=Status.QUEUED, due_at__lte=timezone.now())
        for pk in rows.order_by("due_at").values_list("pk", flat=True)[: 2 * count]:
            yield model, pk
