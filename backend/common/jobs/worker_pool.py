"""rq's pool of forking workers, fitted to this project: the engine loaded once, a sweep beside.

work ─┬─ worker ── job     every job runs in a fork of its worker, and so starts with the engine
      ├─ worker ── job     loaded and shares its memory; what it leaks or breaks ends with it
      └─ sweep ─── job     only while Redis, and with it the queue, is away
"""

import ctypes
import gc
import logging
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from typing import Any, Final

import redis
from django.conf import settings
from django.db import connections as databases
from django.utils.module_loading import import_string
from rq import Queue, Worker
from rq.serializers import JSONSerializer
from rq.worker_pool import WorkerPool

from backend.common import redis_clients
from backend.common.jobs import queues
from backend.common.without_redis import Hands

logger = logging.getLogger(__name__)

WORKER_TTL_S: Final = 30
"""Idle workers renew their registration in half of this, so that a dead one is soon missed."""

_LOOK_FOR_WORK_S: Final = 0.1
"""How often rows are looked for that no queue tells of, and whether Redis is still there."""

_fork = multiprocessing.get_context("fork")

_STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)

_PR_SET_PDEATHSIG: Final = 1


class ForkingWorker(Worker):
    """A worker that comes back soon after Redis did."""

    max_connection_wait_time = 2.0
    log_result_lifespan = False


class Pool(WorkerPool):
    """`count` workers and one sweep, each started again when it dies."""

    def __init__(self, count: int) -> None:
        super().__init__(
            list(queues.IN_ORDER),
            connection=redis_clients.queueing(timeout_s=None),
            num_workers=count,
            worker_class=ForkingWorker,
            serializer=JSONSerializer,
        )
        self.sweep: BaseProcess | None = None
        self.told_to_stop = False

    def get_worker_process(self, name: str, *args: Any, **kwargs: Any) -> BaseProcess:
        return _fork.Process(target=_work, args=(name,), name=f"worker {name}")

    def check_workers(self, respawn: bool = True) -> None:
        super().check_workers(respawn)
        self._check_sweep()

    def start_workers(self, *args: Any, **kwargs: Any) -> None:
        # rq does this after the start, and a stop in between would leave the workers behind.
        self._install_signal_handlers()  # type: ignore[no-untyped-call]
        super().start_workers(*args, **kwargs)
        self._check_sweep()

    def start_worker(self, *args: Any, **kwargs: Any) -> None:
        with _signals_held():
            super().start_worker(*args, **kwargs)

    def request_stop(self, signum: Any = None, frame: Any = None) -> None:
        """Only noted here: what is being started in this moment would not hear of it."""
        self.status = self.Status.STOPPED

    def all_workers_have_stopped(self) -> bool:
        if not self.told_to_stop:
            self.told_to_stop = True
            self.stop_workers()
        return bool(super().all_workers_have_stopped())

    def stop_workers(self) -> None:
        super().stop_workers()  # type: ignore[no-untyped-call]
        if self.sweep is not None and self.sweep.is_alive():
            self.sweep.terminate()

    def _check_sweep(self) -> None:
        if self.sweep is None or not self.sweep.is_alive():
            arguments = (os.getpid(), self.num_workers)
            self.sweep = _fork.Process(target=_sweep, args=arguments, name="sweep")
            with _signals_held():
                self.sweep.start()


def run(count: int) -> None:
    """Work until SIGTERM or SIGINT; then finish the jobs in hand and return."""
    import_string(settings.WORKER_WARM_UP)()
    # What is there now stays: a fork whose collector looked at it would copy all its memory.
    gc.collect()
    gc.freeze()
    # Forks must not share a connection.
    databases.close_all()
    logger.info("starting %d workers pid=%d", count, os.getpid())
    Pool(count).start(logging_level="WARNING")


@contextmanager
def _signals_held() -> Iterator[None]:
    """For a fork: a stop that reaches it before `_begin_child` waits until then."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS)


def _begin_child(*, on_interrupt: Any) -> None:
    """Leave the pool's signal handlers behind, and end with the pool even if that is killed."""
    signal.signal(signal.SIGINT, on_interrupt)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS)
    pool = multiprocessing.parent_process()
    if pool is None or os.getppid() != pool.pid:
        raise SystemExit


def _work(name: str) -> None:
    # The pool asks its workers to stop with SIGINT; SIGTERM from elsewhere means the same to rq.
    _begin_child(on_interrupt=signal.SIG_DFL)
    connection = redis_clients.queueing(timeout_s=None)
    waiting: Sequence[Queue] = [
        Queue(queue, connection=connection, serializer=JSONSerializer) for queue in queues.IN_ORDER
    ]
    while not _redis_answers(connection):
        time.sleep(0.5)
    worker = ForkingWorker(
        waiting,
        name=name,
        connection=connection,
        serializer=JSONSerializer,
        worker_ttl=WORKER_TTL_S,
        job_monitoring_interval=WORKER_TTL_S // 2,
        log_job_description=False,
    )
    worker.work(logging_level="WARNING")


def _redis_answers(connection: Any) -> bool:
    try:
        return bool(connection.ping())
    except redis.RedisError:
        return False


def _sweep(parent: int, count: int) -> None:
    """Call every sweep in turn, for ever; end with the pool."""
    _begin_child(on_interrupt=signal.SIG_IGN)
    steps: list[Callable[[], None]] = [import_string(name) for name in settings.SWEEPS]
    hands = Hands(count, begin=lambda: _begin_child(on_interrupt=signal.SIG_IGN))
    while os.getppid() == parent:
        for step in steps:
            try:
                step()
            except Exception:  # the edge of the process: the next round tries again
                logger.exception("a sweep failed")
                databases.close_all()
        _pause(hands)


def _pause(hands: Hands) -> None:
    """Until the next round of sweeps. While Redis is away, work is found by looking for it."""
    ends_at = time.monotonic() + settings.FACES_SWEEP_INTERVAL_S
    while (left_s := ends_at - time.monotonic()) > 0:
        try:
            hands.let_go()
            if not _redis_answers(redis_clients.short()):
                hands.take_up()
        except Exception:  # as in the sweep itself
            logger.exception("no work was found without Redis")
            databases.close_all()
        time.sleep(min(_LOOK_FOR_WORK_S, left_s))
