"""Fair shares: owners of due jobs take turns, so that a long backlog of one delays no other.

An entry of the queue stands for any row of its kind: a worker that takes one runs the oldest due
row of the owner whose turn it is. Each process counts its own turns; on average that is as fair. A
turn costs one search in an index of (owner, due_at), at any number of waiting rows.
"""

from typing import Any, Final

from backend.common.jobs.models import Job, kinds

_last: Final[dict[type[Job], Any]] = {}
"""The owner whose turn was last, of each kind of job."""


def next_for(task: str) -> Any:
    """The id of the row that is next for a job of `task`; None where owners take no turns."""
    model = next((model for model in kinds() if model.task == task), None)
    return None if model is None else next_of(model)


def next_of(model: type[Job]) -> Any:
    """The id of the row of `model` that is next; None if none is due or owners take no turns."""
    owner = model.fair_by
    if not owner:
        return None
    rows = model.claimable().order_by(owner, "due_at").values_list(owner, "pk")
    last = _last.get(model)
    row = rows.filter(**{f"{owner}__gt": last}).first() if last is not None else None
    row = row or rows.first()
    if row is None:
        return None
    _last[model], id = row
    return id
