"""Operations that can be undone, within a day: decisions and merges.

What that needs is the key `undo` of their results: numbers, and of a merge the name of the contact
that is gone. It goes with the undo, and with the contact that the faces are of.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final

from django.db.models import QuerySet
from django.utils import timezone

from backend.common.jobs.models import JobError
from backend.recognition.models import Kind, Operation, User
from backend.recognition.operations import decisions, merging
from backend.recognition.operations.enrolment import Images
from backend.recognition.operations.results import Result

KEPT: Final = timedelta(days=1)

MOST_LISTED: Final = 50

NOTHING: Final = "This call cannot be undone, or not any more."

_UNDO: Final[Mapping[str, Callable[[User, dict[str, Any]], Result]]] = {
    Kind.DECIDE: decisions.undo,
    Kind.MERGE: merging.undo,
}


def undo(user: User, operation: Operation, images: Images) -> Result:
    """Undo the operation that is named. Its result says what that changed."""
    before = Operation.objects.filter(
        user=user, pk=operation.arguments["of"], processed_at__gt=timezone.now() - KEPT
    ).first()
    state = (before.result or {}).pop("undo", None) if before else None
    if before is None or state is None:
        raise JobError(NOTHING, permanent=True)
    result = _UNDO[before.kind](user, state)
    before.save(update_fields=["result"])
    return result


def undoable(user: User) -> list[dict[str, Any]]:
    """The newest merges and decisions of the user that can be undone, with the contacts' names."""
    ended = user.operations.filter(kind__in=_UNDO, processed_at__gt=timezone.now() - KEPT)
    rows = ended.filter(result__has_key="undo").order_by("-sequence")[:MOST_LISTED]
    fields = ("pk", "kind", "processed_at", "contact_id")
    of_merge = ("result__undo__contact_id", "result__undo__name")
    found = list(rows.values_list(*fields, *of_merge))
    names = dict(
        user.contacts.filter(contact_id__in=[each[3] for each in found]).values_list(
            "contact_id", "name"
        )
    )
    return [
        {
            "operation_id": str(pk),
            "kind": kind,
            "processed_at": processed_at.isoformat(),
            "contact_id": contact,
            "name": names[contact],
            "from_contact_id": source,
            "from_name": name,
        }
        for pk, kind, processed_at, contact, source, name in found
        if contact in names
    ]


def forget(operations: QuerySet[Operation]) -> None:
    """None of these can be undone any more."""
    for each in operations.filter(kind__in=_UNDO):
        if (each.result or {}).pop("undo", None) is not None:
            each.save(update_fields=["result"])
