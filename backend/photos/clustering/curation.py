"""What people decide about groups of unknown faces. Clustering never reverts a decision.

A person who names, hides, merges, splits or claims a group has seen it, so its faces are pinned. A
face that is taken out of a group is excluded from it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from backend.photos.clustering import grouping
from backend.photos.models import (
    ClusterExclusion,
    ClusteringJob,
    Member,
    Person,
    Photo,
    UnknownFace,
)

_SOME: Final = "Choose some of the group's faces, and not all."


class CurationError(Exception):
    """A decision is not possible; the message is the reason, as a sentence for the user."""


def shown() -> QuerySet[Person]:
    """The groups that are not hidden, the largest first; `faces_count` says how large."""
    visible = Person.objects.filter(hidden=False).annotate(faces_count=Count("faces"))
    return visible.order_by("-faces_count", "pk")


def claimable_by(member: Member) -> QuerySet[Person]:
    """The groups that `member` may claim: theirs, and those on a photo that they may see.

    None without consent, because a claimed group shows where its member is.
    """
    if not settings.FACES_GROUP_UNKNOWN or not member.takes_part:
        return Person.objects.none()
    seen = UnknownFace.objects.filter(
        person=OuterRef("pk"), face__photo__in=Photo.objects.visible()
    )
    return Person.objects.filter(Q(member=member) | Q(Exists(seen), hidden=False))


def name(person: Person, text: str) -> None:
    """Name the group; an empty text removes the name."""
    _change(person, name=text.strip()[:100])


def hide(person: Person, *, hidden: bool = True) -> None:
    """Hide the group from the pages, or show it again. Faces still join it."""
    _change(person, hidden=hidden)


def merge(into: Person, other: Person) -> None:
    """Both are the same person: move the faces and exclusions of `other`, and delete it.

    Raises `CurationError` if `other` belongs to another member, so that no claim moves unseen.
    """
    if into.pk == other.pk:
        raise CurationError("A group cannot be merged with itself.")
    if other.member_id and other.member_id != into.member_id:
        raise CurationError("The other group belongs to a member: merge into that one.")
    with transaction.atomic():
        _pin(into)
        UnknownFace.objects.filter(person=other).update(
            person=into, is_pinned=True, is_clustered=True, merged_from=other.pk
        )
        taken_out = ClusterExclusion.objects.filter(person=other).values_list("face_id", flat=True)
        # Merging puts back a face that was taken out of the other group.
        inside = set(into.faces.values_list("pk", flat=True))
        _exclude(into, [face for face in taken_out if face not in inside])
        ClusterExclusion.objects.filter(person=into, face_id__in=inside).delete()
        other.delete()


def split(person: Person, faces: Collection[int]) -> Person:
    """Move these faces to a new group. Raises `CurationError` unless they are some of the group."""
    with transaction.atomic():
        held = set(person.faces.values_list("pk", flat=True))
        if not faces or not set(faces) < held:
            raise CurationError(_SOME)
        _pin(person)
        new = Person.objects.create()
        moved = UnknownFace.objects.filter(person=person, pk__in=faces)
        if not moved.update(person=new, is_pinned=True, is_clustered=True):
            raise CurationError(_SOME)  # another request has moved them in this moment
        _exclude(person, faces)
    return new


def unmerge(person: Person, merged: int, *, name: str) -> Person:
    """Undo a merge: faces of the group with the key `merged` become one of that name again.

    Those that are still in `person`. Raises `CurationError` if none of them is left, or nothing
    else would be.
    """
    with transaction.atomic():
        held = person.faces.filter(merged_from=merged).values_list("pk", flat=True)
        apart = split(person, list(held))
        Person.objects.filter(pk=apart.pk).update(name=name)
    apart.refresh_from_db()
    return apart


def take_out(person: Person, face_id: int) -> bool:
    """Take a face out of the group; it may join another. False if it is not in it."""
    with transaction.atomic():
        rows = UnknownFace.objects.filter(person=person, pk=face_id)
        if not rows.update(person=None, is_pinned=False, is_clustered=False):
            return False
        _exclude(person, [face_id])
        transaction.on_commit(grouping.request)
    return True


def claim(person: Person, member: Member) -> None:
    """`member` says "that is me"; staff has to confirm. Raises `CurationError` if it is taken."""
    _give(person, member, agreed_at=timezone.now())


def offer(person: Person, member: Member) -> None:
    """Staff says "that is them"; `member` has to agree. Raises `CurationError` if it is taken."""
    _give(person, member, confirmed_at=timezone.now())


def confirm(person: Person) -> bool:
    """Confirm a member's claim; False if there is none."""
    claimed = Person.objects.filter(pk=person.pk, member__isnull=False, agreed_at__isnull=False)
    return bool(claimed.update(confirmed_at=timezone.now()))


def agree(person: Person, member: Member) -> bool:
    """Accept an offer; False if `member` has none."""
    offered = Person.objects.filter(pk=person.pk, member=member, confirmed_at__isnull=False)
    return bool(offered.update(agreed_at=timezone.now()))


def disclaim(person: Person) -> None:
    """Remove the member from the group."""
    _change(person, member=None, agreed_at=None, confirmed_at=None)


def delete_all() -> int:
    """Delete all groups and decisions; returns how many faces were in them."""
    count = 0
    while ids := list(UnknownFace.objects.values_list("pk", flat=True)[:500]):
        count += len(ids)
        UnknownFace.objects.filter(pk__in=ids).delete()
    Person.objects.all().delete()
    ClusteringJob.objects.all().delete()
    return count


def _give(person: Person, member: Member, **said: object) -> None:
    with transaction.atomic():
        row = Person.objects.select_for_update().get(pk=person.pk)
        if row.member_id not in (None, member.pk):
            raise CurationError("This group belongs to another member.")
        _change(person, member=member, **said)


def _change(person: Person, **changes: object) -> None:
    with transaction.atomic():
        _pin(person)
        Person.objects.filter(pk=person.pk).update(**changes)
    person.refresh_from_db()


def _exclude(person: Person, faces: Iterable[int]) -> None:
    """These faces never come back to the group by themselves."""
    rows = [ClusterExclusion(face_id=face, person=person) for face in faces]
    ClusterExclusion.objects.bulk_create(rows, ignore_conflicts=True)


def _pin(person: Person) -> None:
    """Pin the faces of a group, because a person has seen them."""
    UnknownFace.objects.filter(person=person).update(is_pinned=True, is_clustered=True)
