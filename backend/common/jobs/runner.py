"""Running jobs: a worker's attempt at one, and what the sweep does for those that were lost."""

import logging
import random
from collections.abc import Callable
from datetime import timedelta
from typing import Final, TypeVar

from django.conf import settings
from django.db.models import Q
from django.utils import timezone
from django.utils.module_loading import import_string

from backend.common.jobs import fair_shares, metrics, queues
from backend.common.jobs.models import Job, JobError, Status, TurnOver, kinds
from backend.common.metrics import registry

logger = logging.getLogger(__name__)

GIVEN_UP: Final = "The image could not be processed, also after several attempts."
FILE_GONE: Final = "The uploaded file is gone."

_BATCH: Final = 1000
_FIRST_FEW: Final = 16

_ENQUEUE_GRACE: Final = timedelta(seconds=3)
"""The web process enqueues right after its commit; the sweep skips younger rows, so that it does
not enqueue them twice."""

J = TypeVar("J", bound=Job)


def run(model: type[J], id: str, do: Callable[[J], object]) -> None:
    """Claim the row and `do` it; every error becomes a state. Safe to call at any time."""
    with registry.batch():
        job = model.claim(id)
        if job is None:
            logger.info("nothing to do %s=%s", model._meta.model_name, id)
        else:
            _attempt(job, do)


def run_next(model: type[J], do: Callable[[J], object]) -> J | None:
    """`run` for the row whose owner's turn it is; returns it, None if none is due."""
    with registry.batch():
        job = fair_shares.claim(model)
        if job is None:
            logger.info("nothing to do, no %s is due", model._meta.model_name)
        else:
            _attempt(job, do)
    return job


def _attempt(job: J, do: Callable[[J], object]) -> None:
    logger.info("processing %s=%s attempt=%d", job.kind, job.pk, job.attempts)
    waited = timezone.now() - max(job.created_at, job.due_at)
    metrics.observe(metrics.WAITS, waited, kind=job.kind)
    try:
        do(job)
    except TurnOver:
        if job.leave_turn():
            logger.info("goes on at its next turn %s=%s", job.kind, job.pk)
            job.enqueue()
    except JobError as error:
        if error.permanent:
            _fail(job, str(error))
        else:
            _retry_or_fail(job, str(error), retry_delay(job.attempts))
    except FileNotFoundError:
        _fail(job, FILE_GONE)
    except Exception:  # the edge of the process
        logger.exception("attempt failed %s=%s", job.kind, job.pk)
        _retry_or_fail(job, GIVEN_UP, retry_delay(job.attempts))


def retry_delay(attempt: int) -> timedelta:
    """The pause after the failed attempt number `attempt` (from 1): 5·2ⁿ s, n from 0."""
    seconds: float = settings.FACES_RETRY_DELAY_S * 2 ** (attempt - 1)
    return timedelta(seconds=seconds)


def release_lost(model: type[Job]) -> None:
    """Take rows away from workers that died or hang, and queue them again."""
    now = timezone.now()
    held = model._default_manager.filter(status=Status.PROCESSING)
    # In the order of their index: in the model's own, all rows that ever were would be read.
    for job in held.order_by("claimed_until")[:_BATCH]:
        if job.is_lost(now):
            logger.warning("worker lost %s=%s attempt=%d", job.kind, job.pk, job.attempts)
            # Most lost workers were not this image's fault, so the first loss costs no time; an
            # image that kills its worker each time waits longer each time, like any failure.
            first = job.attempts <= 1
            delay = timedelta(0) if first else retry_delay(job.attempts - 1)
            _retry_or_fail(job, GIVEN_UP, delay)


def enqueue_lost(model: type[Job]) -> None:
    """Enqueue what is due and in no queue. Raises `redis.RedisError`."""
    now = timezone.now()
    # A retry was never enqueued before it was due; a new row was, unless Redis was not there.
    overdue = Q(attempts__gt=0) | Q(created_at__lt=now - _ENQUEUE_GRACE)
    rows = list(model.claimable().filter(overdue).order_by("due_at").only("pk")[:_BATCH])
    waiting = queues.waiting(model.queue) if rows else set()
    for job in rows:
        if job.job_id not in waiting and not job.enqueue():
            break


def next_due() -> Job | None:
    """A row of the most urgent kind that is due, for a worker without a queue.

    Any of the first few, because other workers ask at the same time; one of them claims it.
    """
    for model in kinds():
        if first := list(model.claimable().order_by("due_at").only("pk")[:_FIRST_FEW]):
            return random.choice(first)
    return None


def _retry_or_fail(job: Job, reason: str, delay: timedelta) -> None:
    if job.attempts > settings.FACES_MAX_RETRIES:
        _fail(job, reason)
        return
    due_at = timezone.now() + delay
    if job.requeue(due_at=due_at):
        job.count_outcome("retried")
        # The sweep enqueues it when it is due: a delayed job in Redis could be lost with Redis.
        logger.warning("will be tried again %s=%s at=%s", job.kind, job.pk, due_at.isoformat())


def _fail(job: Job, reason: str) -> None:
    if job.fail(reason):
        job.count_outcome("failed")
        logger.warning("failed %s=%s reason=%s", job.kind, job.pk, reason)
        if job.on_failed:
            import_string(job.on_failed)(job)
