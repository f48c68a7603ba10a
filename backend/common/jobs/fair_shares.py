"""Fair shares: owners of due jobs take turns, so that a long backlog of one delays no other.

An entry of the queue stands for any row of its kind: a worker that takes one claims the oldest due
row of the owner whose turn it is. Each process counts its own turns; on average that is as fair. A
turn costs two searches in an index of (owner, due_at), at any number of waiting rows.
"""

from typing import Any, Final, TypeVar

from django.db import connection
from django.utils import timezone

from backend.common.jobs import statements
from backend.common.jobs.models import Job, own_claim

J = TypeVar("J", bound=Job)

_last: Final[dict[type[Job], Any]] = {}
"""The owner whose turn was last, of each kind of job."""

# The first row of the next owner, or else the first of all. The state is written out, because the
# index holds queued rows only.
_CLAIM: Final = """
UPDATE {table} SET {claim}, attempts = attempts + 1
WHERE status = 'queued' AND {id} = COALESCE(
    (SELECT {id} FROM {table} WHERE status = 'queued' AND due_at <= %s AND {owner} > %s
     ORDER BY {owner}, due_at LIMIT 1 {lock}),
    (SELECT {id} FROM {table} WHERE status = 'queued' AND due_at <= %s
     ORDER BY {owner}, due_at LIMIT 1 {lock})
) RETURNING {columns}
"""


def claim(model: type[J]) -> J | None:
    """Claim the row of `model` that is next; None if none is due."""
    job = statements.returned(model, *statement(model))
    if job is not None:
        _last[model] = getattr(job, model.fair_by)
    return job


def statement(model: type[Job]) -> tuple[str, list[Any]]:
    """The claim of the next row, and its parameters."""
    claim = own_claim()
    text = _CLAIM.format(
        **statements.names(model),
        claim=", ".join(f"{statements.column(model, name)} = %s" for name in claim),
        owner=statements.column(model, model.fair_by),
        # PostgreSQL's workers choose side by side; SQLite's statements wait for each other.
        lock="FOR UPDATE SKIP LOCKED" if connection.vendor == "postgresql" else "",
    )
    (now,) = statements.prepared(model, {"due_at": timezone.now()})
    return text, [*statements.prepared(model, claim), now, _last.get(model), now]
