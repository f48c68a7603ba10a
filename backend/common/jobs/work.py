"""A piece of work as a row: claimed by one worker, tried again when it fails, never lost.

The row is the truth, the job in the queue a hint. Whoever claims a row by a conditional update may
work on it; a claim names its process and ends by itself: a worker's death blocks nobody.
"""

import logging
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final, Self, TypeVar

from django.apps import apps
from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from backend.common.jobs import process_identity, queues
from backend.common.metrics import registry

logger = logging.getLogger(__name__)

GIVEN_UP: Final = "The image could not be processed, also after several attempts."
FILE_GONE: Final = "The uploaded file is gone."

OUTCOMES: Final = registry.counter(
    "faces_jobs_total",
    "Attempts by how they ended: done, no_faces, failed, retried.",
    "kind",
    "outcome",
)
DURATIONS: Final = registry.histogram(
    "faces_job_seconds",
    "How long work waited for a worker (waiting) and took from row to result (total).",
    "kind",
    "stage",
)

_BATCH: Final = 1000
_FIRST_FEW: Final = 16

_ON_ITS_WAY: Final = timedelta(seconds=3)
"""A row this young has probably just been enqueued."""


class WorkError(Exception):
    """Work could not be done. `permanent` tells that trying again would not help."""

    def __init__(self, message: str, *, permanent: bool) -> None:
        super().__init__(message)
        self.permanent = permanent


class Status(models.TextChoices):
    """Where a piece of work is.

    QUEUED ──claimed by a worker──▶ PROCESSING ──▶ DONE
       ▲                                │
       └──failed for now, or lost───────┴──▶ FAILED   for good, or tried too often
    QUEUED ◀──somebody asked to try again────────┘
    """

    QUEUED = "queued"
    PROCESSING = "processing"
    DONE = "done"
    FAILED = "failed"


class Work(models.Model):
    """The columns and transitions of work; the tables are its subclasses'.

    A subclass names its `queue` and its `task`, a dotted name that takes the row's id as text, and
    calls `constraints` and `indexes` in its Meta.
    """

    queue: str
    task: str

    status = models.CharField(max_length=16, choices=Status, default=Status.QUEUED)
    created_at = models.DateTimeField(default=timezone.now)
    processed_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    due_at = models.DateTimeField(default=timezone.now)
    claimed_by = models.CharField(max_length=200, blank=True)
    claimed_until = models.DateTimeField(null=True, blank=True)
    reason = models.CharField(max_length=500, blank=True)

    class Meta:
        abstract = True

    @property
    def job_id(self) -> str:
        return f"{self._meta.model_name}-{self.pk}"

    @classmethod
    def claimable(cls) -> models.QuerySet[Self]:
        """The rows that a process may claim now."""
        return cls._default_manager.filter(status=Status.QUEUED, due_at__lte=timezone.now())

    @classmethod
    def claim(cls, id: Any) -> Self | None:
        """QUEUED → PROCESSING, for one process only; None if the row is not claimable."""
        if not cls.claimable().filter(pk=id).update(attempts=F("attempts") + 1, **claim_of_ours()):
            return None
        return cls._default_manager.filter(pk=id, claimed_by=process_identity.identity()).first()

    def requeue(self, *, due_at: datetime) -> bool:
        """PROCESSING → QUEUED until `due_at`; False if the claim is no longer ours."""
        return self._leave(status=Status.QUEUED, due_at=due_at)

    def succeed(self, **results: Any) -> bool:
        """PROCESSING → DONE; False if the claim is no longer ours."""
        ended = {"status": Status.DONE, "processed_at": timezone.now(), "reason": ""}
        if not self._leave(**ended, **results):
            return False
        _count(self, "no_faces" if results.get("faces_count") == 0 else "done")
        _observe(self, "total", timezone.now() - self.created_at)
        return True

    def fail(self, reason: str) -> bool:
        """PROCESSING → FAILED; False if the claim is no longer ours."""
        return self._leave(status=Status.FAILED, processed_at=timezone.now(), reason=reason[:500])

    def start_again(self, **forgotten: Any) -> bool:
        """FAILED → QUEUED, as if it were new; False if it is in another state by now."""
        failed = type(self)._default_manager.filter(pk=self.pk, status=Status.FAILED)
        new = {"status": Status.QUEUED, "attempts": 0, "reason": "", "processed_at": None}
        if not failed.update(**new, due_at=timezone.now(), **forgotten):
            return False
        self.refresh_from_db()
        return True

    def enqueue(self) -> bool:
        """Tell the queue; False if it is out of reach, and then the sweep will."""
        return queues.enqueue(self.queue, self.task, str(self.pk), job_id=self.job_id)

    def is_lost(self, now: datetime) -> bool:
        """Whether who claimed it died, or took too long."""
        expired = self.claimed_until is None or self.claimed_until < now
        return expired or process_identity.is_gone(self.claimed_by)

    def _leave(self, **changes: Any) -> bool:
        ours = type(self)._default_manager.filter(
            pk=self.pk, status=Status.PROCESSING, claimed_by=self.claimed_by
        )
        if not ours.update(**changes, claimed_by="", claimed_until=None):
            return False
        self.refresh_from_db()
        return True


W = TypeVar("W", bound=Work)
Ended = Callable[[W], object]
"""Called once with a row that has just ended in FAILED."""


def claim_of_ours() -> dict[str, Any]:
    """The values of a claim by this process."""
    lease = timedelta(seconds=settings.FACES_JOB_TIMEOUT_S)
    claim = {"claimed_by": process_identity.identity(), "claimed_until": timezone.now() + lease}
    return {"status": Status.PROCESSING, **claim}


def constraints(name: str) -> list[models.BaseConstraint]:
    """What must hold of every row; `name` begins the constraints' names."""
    ended = Q(status__in=[Status.DONE, Status.FAILED])
    return [
        models.CheckConstraint(condition=Q(status__in=Status.values), name=f"{name}_status_known"),
        # An outcome without its time could not be told to anyone.
        models.CheckConstraint(
            condition=Q(processed_at__isnull=False) | ~ended, name=f"{name}_ended_has_time"
        ),
    ]


def indexes(name: str) -> list[models.Index]:
    """The sweep asks for what is due, and for what is in work, every few seconds."""
    return [
        models.Index(fields=["due_at"], condition=Q(status=Status.QUEUED), name=f"{name}_due"),
        models.Index(
            fields=["claimed_until"],
            condition=Q(status=Status.PROCESSING),
            name=f"{name}_in_work",
        ),
    ]


def run(model: type[W], id: str, do: Callable[[W], object], *, on_failed: Ended[W]) -> None:
    """Claim the row and `do` it; whatever goes wrong becomes a state. Safe to call any time."""
    with registry.batch():
        _run(model, id, do, on_failed)


def _run(model: type[W], id: str, do: Callable[[W], object], on_failed: Ended[W]) -> None:
    work = model.claim(id)
    name = model._meta.model_name
    if work is None:
        logger.info("nothing to do %s=%s", name, id)
        return
    logger.info("processing %s=%s attempt=%d", name, id, work.attempts)
    _observe(work, "waiting", timezone.now() - max(work.created_at, work.due_at))
    try:
        do(work)
    except WorkError as error:
        _failed(work, str(error), permanent=error.permanent, on_failed=on_failed)
    except FileNotFoundError:
        _failed(work, FILE_GONE, permanent=True, on_failed=on_failed)
    except Exception:  # the edge of the process
        logger.exception("attempt failed %s=%s", name, id)
        _failed(work, GIVEN_UP, permanent=False, on_failed=on_failed)


def retry_delay(attempt: int) -> timedelta:
    """How long to wait after the failed attempt number `attempt` (from 1): 5·2ⁿ s, n from 0."""
    seconds: float = settings.FACES_RETRY_DELAY_S * 2 ** (attempt - 1)
    return timedelta(seconds=seconds)


def release_lost(model: type[W], *, on_failed: Ended[W]) -> None:
    """Take rows away from workers that died or hang, and queue them again."""
    now = timezone.now()
    held = model._default_manager.filter(status=Status.PROCESSING)
    # In the order of their index: in the model's own, all rows that ever were would be read.
    for work in held.order_by("claimed_until")[:_BATCH]:
        if work.is_lost(now):
            logger.warning("worker lost %s=%s attempt=%d", *_told(work), work.attempts)
            # Most lost workers were not this image's fault, so the first loss costs no time; an
            # image that kills its worker each time waits longer each time, like any failure.
            first = work.attempts <= 1
            delay = timedelta(0) if first else retry_delay(work.attempts - 1)
            _retry_or_fail(work, GIVEN_UP, delay, on_failed)


def enqueue_lost(model: type[W]) -> None:
    """Enqueue what is due and in no queue. Raises `redis.RedisError`."""
    now = timezone.now()
    # A retry was never enqueued before it was due; a new row was, unless Redis was not there.
    overdue = Q(attempts__gt=0) | Q(created_at__lt=now - _ON_ITS_WAY)
    rows = list(model.claimable().filter(overdue).order_by("due_at").only("pk")[:_BATCH])
    waiting = queues.waiting(model.queue) if rows else set()
    for work in rows:
        if work.job_id not in waiting and not work.enqueue():
            break


def kinds() -> list[type[Work]]:
    """The models of all work there is, the most urgent first."""
    concrete = (model for model in apps.get_models() if issubclass(model, Work))
    return sorted(concrete, key=lambda model: queues.IN_ORDER.index(model.queue))


def next_due() -> Work | None:
    """A row of the most urgent kind that is due, for a worker without a queue.

    Any of the first few, because other workers ask at the same time; one of them claims it.
    """
    for model in kinds():
        due = model._default_manager.filter(status=Status.QUEUED, due_at__lte=timezone.now())
        if first := list(due.order_by("due_at").only("pk")[:_FIRST_FEW]):
            return random.choice(first)
    return None


def _failed(work: W, reason: str, *, permanent: bool, on_failed: Ended[W]) -> None:
    if permanent:
        _end(work, reason, on_failed)
    else:
        _retry_or_fail(work, reason, retry_delay(work.attempts), on_failed)


def _retry_or_fail(work: W, reason: str, delay: timedelta, on_failed: Ended[W]) -> None:
    if work.attempts > settings.FACES_MAX_RETRIES:
        _end(work, reason, on_failed)
        return
    due_at = timezone.now() + delay
    if work.requeue(due_at=due_at):
        _count(work, "retried")
        # The sweep enqueues it when it is due: a delayed job in Redis could be lost with Redis.
        logger.warning("will be tried again %s=%s at=%s", *_told(work), due_at.isoformat())


def _end(work: W, reason: str, on_failed: Ended[W]) -> None:
    if work.fail(reason):
        _count(work, "failed")
        logger.warning("failed %s=%s reason=%s", *_told(work), reason)
        on_failed(work)


def _count(work: Work, outcome: str) -> None:
    registry.count(OUTCOMES, kind=str(work._meta.model_name), outcome=outcome)


def _observe(work: Work, stage: str, duration: timedelta) -> None:
    kind = str(work._meta.model_name)
    registry.observe(DURATIONS, max(0.0, duration.total_seconds()), kind=kind, stage=stage)


def _told(work: Work) -> tuple[str, str]:
    return str(work._meta.model_name), str(work.pk)
