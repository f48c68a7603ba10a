"""What clients said of pairs of contacts: they are two people, and are not asked about again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.db import transaction
from django.db.models import Q

from backend.recognition.contract import DistinctInput, validated
from backend.recognition.gallery.doubts import Pair
from backend.recognition.models import Contact, Distinct, User


def pairs(user: User) -> set[Pair]:
    """By the contacts' primary keys, the smaller one first."""
    rows = Distinct.objects.filter(contact__user=user)
    return set(rows.values_list("contact", "other"))


def store(user: User, contact_ids: Sequence[int], *, is_distinct: bool) -> bool:
    """Whether the user has both contacts; then they are two people, or perhaps one again.

    Raises `InvalidInput`.
    """
    validated(DistinctInput, user_id=user.user_id, contact_ids=contact_ids)
    with transaction.atomic():
        # As every change of the gallery: a contact may be merged or deleted meanwhile.
        User.objects.select_for_update().get(pk=user.pk)
        found = user.contacts.filter(contact_id__in=contact_ids).order_by("pk")
        if len(found) != 2:
            return False
        if is_distinct:
            _add([(found[0].pk, found[1].pk)])
        else:
            Distinct.objects.filter(contact=found[0], other=found[1]).delete()
    return True


def merged(source: Contact, target: Contact) -> None:
    """People whom `source` is not, `target` is not either."""
    rows = Distinct.objects.filter(Q(contact=source) | Q(other=source))
    others = {pk for pair in rows.values_list("contact", "other") for pk in pair}
    _add([(target.pk, pk) for pk in others - {source.pk, target.pk}])


def _add(pairs: Iterable[Pair]) -> None:
    rows = [Distinct(contact_id=min(pair), other_id=max(pair)) for pair in pairs]
    Distinct.objects.bulk_create(rows, ignore_conflicts=True)
