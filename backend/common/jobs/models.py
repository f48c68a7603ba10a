"""A job: a row that one worker claims, that is tried again when it fails, and is never lost.

The row is the truth, its entry in the queue a hint. A conditional update claims the row; the claim
names its process and expires, so that the death of a worker blocks no job.
"""

from datetime import datetime, timedelta
from typing import Any, Self

from django.apps import apps
from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from backend.common.jobs import metrics, process_identity, queues, statements
from backend.common.metrics import registry


class JobError(Exception):
    """A job failed; with `permanent`, another attempt would fail too."""

    def __init__(self, message: str, *, permanent: bool) -> None:
        super().__init__(message)
        self.permanent = permanent


class JobTimeout(Exception):
    """Raised in the middle of a job whose time is over."""


class TurnOver(Exception):
    """A job leaves its worker to those of other owners, and goes on when it is its turn again."""


class Status(models.TextChoices):
    """The state of a job.

    QUEUED ──claimed by a worker──▶ PROCESSING ──▶ DONE
       ▲                                │
       └──failed for now, or lost───────┴──▶ FAILED   for good, or tried too often
    QUEUED ◀──a retry was requested─────────────┘
    """

    QUEUED = "queued"
    PROCESSING = "processing"
    DONE = "done"
    FAILED = "failed"


class Job(models.Model):
    """The columns and transitions of a job; the tables are its subclasses'.

    A subclass names its `queue` and its `task`, a dotted name of a function that takes the row's id
    as text, and calls `job_constraints` and `job_indexes` in its Meta. `batch_task` names a
    function that takes several ids, separated by commas, `on_failed` one that is called once with a
    row that has just ended in FAILED. `fair_by` is the column whose values, the owners, take turns
    (`fair_shares`), `takes_turns` the condition, in SQL, of the queued rows that do. By `status`
    all that wait have one owner: the kind takes turns with the others of its queue.
    """

    queue: str
    task: str
    batch_task: str = ""
    on_failed: str = ""
    fair_by: str = "status"
    takes_turns: str = "TRUE"

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

    @classmethod
    def tasks(cls) -> list[str]:
        """The dotted names that an entry of the queue may have."""
        return [task for task in (cls.task, cls.batch_task) if task]

    @property
    def kind(self) -> str:
        """The name of the model, as logs and metrics name it."""
        return str(self._meta.model_name)

    @property
    def job_id(self) -> str:
        return f"{self.kind}-{self.pk}"

    @classmethod
    def claimable(cls) -> models.QuerySet[Self]:
        """The rows that a process may claim now."""
        return cls._default_manager.filter(status=Status.QUEUED, due_at__lte=timezone.now())

    @classmethod
    def claim(cls, id: Any) -> Self | None:
        """QUEUED → PROCESSING, for one process only; None if the row is not claimable."""
        if not cls.claimable().filter(pk=id).update(attempts=F("attempts") + 1, **own_claim()):
            return None
        return cls._default_manager.filter(pk=id, claimed_by=process_identity.identity()).first()

    def requeue(self, *, due_at: datetime) -> bool:
        """PROCESSING → QUEUED until `due_at`; False if the claim is no longer ours."""
        return self._leave(status=Status.QUEUED, due_at=due_at)

    def leave_turn(self) -> bool:
        """PROCESSING → QUEUED, behind the owner's others; this was no attempt."""
        attempts = max(0, self.attempts - 1)
        return self._leave(status=Status.QUEUED, due_at=timezone.now(), attempts=attempts)

    def succeed(self, **results: Any) -> bool:
        """PROCESSING → DONE; False if the claim is no longer ours."""
        ended = {"status": Status.DONE, "processed_at": timezone.now(), "reason": ""}
        if not self._leave(**ended, **results):
            return False
        self.count_outcome("no_faces" if results.get("faces_count") == 0 else "done")
        metrics.observe(metrics.DURATIONS, timezone.now() - self.created_at, kind=self.kind)
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
        """Add it to the queue; False if that is out of reach, and then the sweep will."""
        return queues.enqueue(self.queue, self.task, str(self.pk), job_id=self.job_id)

    def is_lost(self, now: datetime) -> bool:
        """Whether the worker that claimed it died or took too long."""
        expired = self.claimed_until is None or self.claimed_until < now
        return expired or process_identity.is_gone(self.claimed_by)

    def count_outcome(self, outcome: str) -> None:
        """Count the end of an attempt."""
        registry.count(metrics.OUTCOMES, kind=self.kind, outcome=outcome)

    def _leave(self, **changes: Any) -> bool:
        ours = {"id": self.pk, "status": Status.PROCESSING, "claimed_by": self.claimed_by}
        free = {"claimed_by": "", "claimed_until": None}
        left = statements.update(type(self), ours, {**changes, **free})
        if left is None:
            return False
        # Others may have changed what is not ours: all columns, as they are now.
        for field in self._meta.concrete_fields:
            setattr(self, field.attname, getattr(left, field.attname))
        return True


def own_claim() -> dict[str, Any]:
    """The values of a claim by this process."""
    lease = timedelta(seconds=settings.FACES_JOB_TIMEOUT_S)
    claim = {"claimed_by": process_identity.identity(), "claimed_until": timezone.now() + lease}
    return {"status": Status.PROCESSING, **claim}


def job_constraints(name: str) -> list[models.BaseConstraint]:
    """What must hold of every row; `name` begins the constraints' names."""
    ended = Q(status__in=[Status.DONE, Status.FAILED])
    return [
        models.CheckConstraint(condition=Q(status__in=Status.values), name=f"{name}_status_known"),
        # An outcome without its time could not be published.
        models.CheckConstraint(
            condition=Q(processed_at__isnull=False) | ~ended, name=f"{name}_ended_has_time"
        ),
    ]


def job_indexes(name: str, *, fair_by: str = "", turns_of: Q | None = None) -> list[models.Index]:
    """For the sweep, which looks for due rows and for claimed ones; for turns by `fair_by`, of the
    queued rows that meet `turns_of`."""
    queued = Q(status=Status.QUEUED) & (turns_of or Q())
    turns = models.Index(fields=[fair_by, "due_at"], condition=queued, name=f"{name}_turns")
    return [
        *([turns] if fair_by else []),
        models.Index(fields=["due_at"], condition=Q(status=Status.QUEUED), name=f"{name}_due"),
        models.Index(
            fields=["claimed_until"],
            condition=Q(status=Status.PROCESSING),
            name=f"{name}_in_work",
        ),
    ]


def kinds() -> list[type[Job]]:
    """The models of all jobs there are, the most urgent first."""
    concrete = (model for model in apps.get_models() if issubclass(model, Job))
    return sorted(concrete, key=lambda model: queues.IN_ORDER.index(model.queue))
