"""Feedback of clients on answers, and the precision and recall that it measures."""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterable, Sequence
from typing import Final, TypedDict

from django.conf import settings
from django.db import transaction

from backend.recognition.gallery import locking
from backend.recognition.models import Contact, Feedback, Kind, Operation, User

THRESHOLDS: Final = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)

_Z: Final = 1.959964
"""95 % of the standard normal distribution lie within this many deviations."""


class RateShape(TypedDict):
    """A share of cases and Wilson's interval of 95 % round it; None where there are no cases."""

    value: float | None
    low: float
    high: float
    cases: int


class AtShape(TypedDict):
    """Precision and recall if contacts with less confidence than `threshold` were not named."""

    threshold: float
    precision: RateShape
    recall: RateShape


class QualityShape(TypedDict):
    answers: int
    right: int
    wrong: int
    of_unknown_people: int
    precision: RateShape
    recall: RateShape
    at: list[AtShape]


class Verdict(TypedDict, total=False):
    """A client's report on an answer: right or wrong, or the true contact, None for a stranger."""

    right: bool
    contact_id: int | None


class NoSuchAnswer(Exception):
    """The user got no such answer, or it is too old."""


class NoSuchContact(Exception):
    """The user has no such contact."""


def note(owner_id: int, user_id: int, answer_id: uuid.UUID, verdict: Verdict) -> Feedback:
    """Store a verdict on an answer in place of an earlier one."""
    with transaction.atomic():
        user = User.objects.filter(owner_id=owner_id, user_id=user_id).first()
        if user is None:
            raise NoSuchAnswer
        # A contact that is deleted afterwards takes the feedback with it.
        locking.lock(user.pk)
        named, confidence = _answer(user, answer_id)
        values = _judged(user, named, verdict)
        kept, _ = Feedback.objects.update_or_create(
            user=user, answer_id=answer_id, defaults={**values, "confidence": confidence}
        )
    return kept


def _answer(user: User, answer_id: uuid.UUID) -> tuple[Contact | None, float]:
    """The contact that the answer named first, and its confidence."""
    asked = Operation.objects.filter(pk=answer_id, user=user, kind=Kind.RECOGNISE)
    operation = asked.exclude(result=None).first()
    if operation is None or operation.result is None:
        raise NoSuchAnswer
    found = operation.result.get("faces")
    if found is None:  # there was no face in the image
        raise NoSuchAnswer
    if not found:
        return None, 0.0
    contact = Contact.objects.filter(user=user, faces=found[0]["id"]).first()
    if contact is None:  # deleted since
        raise NoSuchAnswer
    return contact, float(found[0]["recognition_confidence"])


def _judged(user: User, named: Contact | None, verdict: Verdict) -> dict[str, object]:
    truth: Contact | None = None
    if "contact_id" in verdict:
        if verdict["contact_id"] is not None:
            truth = Contact.objects.filter(user=user, contact_id=verdict["contact_id"]).first()
            if truth is None:
                raise NoSuchContact
        is_right, is_truth_known = truth == named, True
    else:
        is_right = is_truth_known = verdict["right"]
        truth = named if is_right else None
    judged = {"is_right": is_right, "is_truth_known": is_truth_known}
    return {"named": named, "truth": truth, **judged}


def merged(source: Contact, target: Contact) -> None:
    """Make feedback on `source` feedback on `target`: they are one person."""
    Feedback.objects.filter(named=source).update(named=target)
    Feedback.objects.filter(truth=source).update(truth=target)
    Feedback.objects.filter(named=target, truth=target).update(is_right=True)


def quality(user: User) -> QualityShape:
    """How good the answers were on which there is feedback."""
    rows = list(Feedback.objects.filter(user=user))
    precision, recall = _rates(rows, 0.0)
    return QualityShape(
        answers=len(rows),
        right=sum(row.is_right for row in rows),
        wrong=sum(not row.is_right for row in rows),
        of_unknown_people=sum(row.is_truth_known and row.truth_id is None for row in rows),
        precision=precision,
        recall=recall,
        at=[AtShape(threshold=each, precision=p, recall=r) for each, p, r in _at(rows)],
    )


def _at(rows: Sequence[Feedback]) -> Iterable[tuple[float, RateShape, RateShape]]:
    # No contact with less confidence was named.
    for threshold in THRESHOLDS:
        if threshold >= settings.FACES_MIN_CONFIDENCE:
            yield threshold, *_rates(rows, threshold)


def _rates(rows: Sequence[Feedback], threshold: float) -> tuple[RateShape, RateShape]:
    """Precision: the share of named people who were named rightly. Recall: of known people.

    A wrong answer without the true contact counts as a missed person only if it named none: else
    the person may be no contact of the user.
    """
    named = [row for row in rows if row.named_id is not None and row.confidence >= threshold]
    right = sum(row.is_right for row in named)
    known = [row for row in rows if row.truth_id is not None]
    missed = [row for row in rows if not row.is_truth_known and row.named_id is None]
    return rate(right, len(named)), rate(right, len(known) + len(missed))


def rate(hits: int, cases: int) -> RateShape:
    """Wilson's score interval (E. B. Wilson, 1927), which is valid for few cases too."""
    if not cases:
        return RateShape(value=None, low=0.0, high=1.0, cases=0)
    share, square = hits / cases, _Z * _Z / cases
    centre = (share + square / 2) / (1 + square)
    half = _Z / (1 + square) * math.sqrt(share * (1 - share) / cases + square / (4 * cases))
    low, high = max(0.0, centre - half), min(1.0, centre + half)
    return RateShape(value=share, low=low, high=high, cases=cases)
