"""Fair shares: owners of due jobs take turns, so that a long backlog of one delays no other.

An entry of the queue stands for any row of its kind, one of several images for as many: a worker
that takes one claims the oldest due row of the owner whose turn it is. Kinds of one queue take
turns too (`others`). A job that waits for servers of others leaves its worker to rows that are
overdue (`hold`). Each process counts its own turns; on average that is as fair. A turn costs
two searches in an index of (owner, due_at), at any number of waiting rows.
"""

from datetime import timedelta
from functools import cache
from typing import Any, Final, TypeVar

from django.db import connection
from django.db.models import QuerySet
from django.utils import timezone

from backend.common.image_downloads import Hold
from backend.common.jobs import statements
from backend.common.jobs.models import Job, Status, kinds, own_claim

J = TypeVar("J", bound=Job)

_last: Final[dict[type[Job], Any]] = {}
"""The owner whose turn was last, of each kind of job."""

# The first row of the next owner, or else the first of all.
_NEXT: Final = """COALESCE(
    (SELECT {id} FROM {table} WHERE {waits} AND due_at <= %s AND {owner} > %s
     ORDER BY {owner}, due_at LIMIT 1 {lock}),
    (SELECT {id} FROM {table} WHERE {waits} AND due_at <= %s
     ORDER BY {owner}, due_at LIMIT 1 {lock})
)"""

_NEXT_OF_OWNER: Final = """(
    SELECT {id} FROM {table} WHERE {waits} AND due_at <= %s AND {owner} = %s
    ORDER BY due_at LIMIT 1 {lock}
)"""

_CLAIM: Final = """
UPDATE {table} SET {claim}, attempts = attempts + 1
WHERE status = 'queued' AND {id} = {next} RETURNING {columns}
"""

_TRIES: Final = 5

_DUE: Final = "SELECT CAST({id} AS TEXT) AS id FROM {table} WHERE {waits} AND due_at <= %s LIMIT 1"

_OVERDUE: Final = timedelta(seconds=0.5)
"""A free worker takes a due row within milliseconds."""


def claim(model: type[J]) -> J | None:
    """Claim the row of `model` that is next; None if none is due."""
    for _ in range(_TRIES):
        job = statements.returned(model, *statement(model))
        if job is not None:
            _last[model] = getattr(job, model.fair_by)
            return job
        # A statement that waited for another writer asks for what was due when it began. The other
        # may have claimed the row of this entry, and inserted one that is due since.
        if not _is_due(model):
            break
    return None


def claim_some(model: type[J], at_most: int) -> list[J]:
    """Claim up to `at_most` rows of the owner whose turn it is, the oldest first."""
    first = claim(model) if at_most else None
    if first is None:
        return []
    jobs, owner = [first], getattr(first, model.fair_by)
    while len(jobs) < at_most:
        more = statements.returned(model, *_statement(model, _NEXT_OF_OWNER, [_now(model), owner]))
        if more is None:
            break
        jobs.append(more)
    return jobs


def others(task: str) -> list[tuple[str, str]]:
    """The kinds of its queue that take turns with the kind of `task`: those with a due row, each
    as its task and that row's id.

    Entries of kinds lie in the queue as they came: without this, a thousand slow ones of one kind
    would be done before the first of another.
    """
    if not (models := _beside(task)):
        return []
    due = (
        f"SELECT %s AS task, id FROM ({_DUE.format(**_names(model))}) AS due" for model in models
    )
    parameters = [part for model in models for part in (model.task, _now(model))]
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(due), parameters)
        return [(str(kind), str(id)) for kind, id in cursor.fetchall()]


@cache
def _beside(task: str) -> list[type[Job]]:
    """The other kinds of the queue of `task`."""
    ours = next(model for model in kinds() if task in model.tasks())
    return [model for model in kinds() if model.queue == ours.queue and model != ours]


def hold(job: Job) -> Hold:
    """Which downloads of `job` may go on.

    Rows that are overdue show that no worker is free. If they are of others, the job begins no more
    downloads; if it is the latest of several that its owner has in work, all its downloads end.
    So an owner keeps one worker, for as long as a download takes, and loses nothing.
    """
    if not _others_are_overdue(job):
        return Hold.ALL
    in_work = _turns(type(job), Status.PROCESSING).filter(**_owner_of(job))
    newest = list(in_work.order_by("-claimed_until", "-pk").values_list("pk", flat=True)[:2])
    return Hold.NONE if len(newest) > 1 and newest[0] == job.pk else Hold.BEGUN


def _others_are_overdue(job: Job) -> bool:
    before = timezone.now() - _OVERDUE
    beside = [_turns(model, Status.QUEUED) for model in _beside(job.task)]
    own = _turns(type(job), Status.QUEUED).exclude(**_owner_of(job))
    return any(rows.filter(due_at__lte=before).exists() for rows in (own, *beside))


def _turns(model: type[Job], status: Status) -> QuerySet[Job]:
    return model._default_manager.filter(status=status).extra(where=[model.takes_turns])


def _owner_of(job: Job) -> dict[str, Any]:
    return {job.fair_by: getattr(job, job.fair_by)}


def statement(model: type[Job]) -> tuple[str, list[Any]]:
    """The claim of the next row, and its parameters."""
    now = _now(model)
    return _statement(model, _NEXT, [now, _last.get(model), now])


def _statement(model: type[Job], next: str, chosen_by: list[Any]) -> tuple[str, list[Any]]:
    claim = own_claim()
    text = _CLAIM.replace("{next}", next).format(
        **_names(model),
        claim=", ".join(f"{statements.column(model, name)} = %s" for name in claim),
        # PostgreSQL's workers choose side by side; SQLite's statements wait for each other.
        lock="FOR UPDATE SKIP LOCKED" if connection.vendor == "postgresql" else "",
    )
    return text, [*statements.prepared(model, claim), *chosen_by]


def _names(model: type[Job]) -> dict[str, str]:
    # The state is written out, because the index holds queued rows only.
    waits = f"status = 'queued' AND {model.takes_turns}"
    owner = statements.column(model, model.fair_by)
    return {**statements.names(model), "owner": owner, "waits": waits}


def _now(model: type[Job]) -> Any:
    return statements.prepared(model, {"due_at": timezone.now()})[0]


def _is_due(model: type[Job]) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(_DUE.format(**_names(model)), [_now(model)])
        return cursor.fetchone() is not None
