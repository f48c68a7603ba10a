"""The photos of a member: computed matches, without rejected ones, and with manual tags.

A photo is a member's when one of its faces matches a reference that counts, or is in a group that
is theirs, and they have not rejected it; or when they are tagged by hand.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal

from django.db import transaction
from django.db.models import Min, Q, QuerySet, Value

from backend.photos.clustering import grouping
from backend.photos.matching import jobs, rejections
from backend.photos.models import (
    Extraction,
    ManualTag,
    Match,
    MatchRejection,
    Member,
    Person,
    Photo,
    PhotoFace,
    Reference,
    UnknownFace,
)

How = Literal["matched", "grouped", "by hand"]

_SHOWN: Final = (
    *("key", "name", "width", "height", "hidden", "taken_at", "album"),
    *("album__title", "album__date"),
)
"""The columns that pages show: a quarter of those of a photo and its album."""


_MOST_REJECTED: Final = 500
"""Read for the list of rejected photos; more than a member looks through."""


@dataclass(frozen=True)
class OnPhoto:
    """A member on a photo: by which face, if known, and its distance to the nearest reference."""

    member_id: int
    how: How
    face_id: int | None = None
    distance: float | None = None


def photos_of(member: Member) -> QuerySet[Photo]:
    """The photos that `member` is on: the newest album first, then in the album's order.

    Only visible ones, in albums dated while they were a member.
    """
    photos = Photo.objects.visible().filter(pk__in=_photo_ids(member))
    if member.joined_on:
        photos = photos.filter(album__date__gte=member.joined_on)
    if member.left_on:
        photos = photos.filter(album__date__lte=member.left_on)
    newest_first = photos.order_by("-album__date", "-album_id", "taken_at", "pk")
    return newest_first.select_related("album").only(*_SHOWN)


def is_on(member: Member, photo: Photo) -> bool:
    """Whether `photo` is among `photos_of(member)`."""
    return photos_of(member).filter(pk=photo.pk).exists()


def is_processing(member: Member) -> bool:
    """Whether a reference of `member` is not done yet, or not compared with all photos yet."""
    waiting = Reference.objects.filter(
        member=member, extraction=Extraction.PROCESSING, marked_for_deletion_at=None
    )
    return waiting.exists() or jobs.is_pending(member)


def members_on(photo: Photo) -> list[OnPhoto]:
    """The members on `photo`, for staff, also if it is hidden. Sorted by member, then face."""
    found = [*_matched(photo), *_grouped(photo)]
    denied = MatchRejection.objects.filter(photo=photo).values_list("member_id", "face_id")
    not_them = set(denied)
    kept = [
        each
        for each in found
        if not {(each.member_id, each.face_id), (each.member_id, None)} & not_them
    ]
    by_hand = ManualTag.objects.filter(photo=photo).values_list("member_id", "face_id")
    kept += [OnPhoto(member_id, "by hand", face_id) for member_id, face_id in by_hand]
    return sorted(kept, key=lambda each: (each.member_id, each.face_id or 0, each.how))


def say_not_me(member: Member, photo: Photo) -> None:
    """Reject, now and for later matches, all faces for which `photo` is shown to `member`.

    Without such a face the whole photo is rejected. It holds for all photos with the same bytes. A
    manual tag is removed.
    """
    with transaction.atomic():
        ManualTag.objects.filter(member=member, photo=photo).delete()
        if not MatchRejection.objects.filter(member=member, photo=photo, face=None).exists():
            faces: Iterable[int | None] = _faces_of(member, photo) or [None]
            said = [MatchRejection(member=member, photo=photo, face_id=face) for face in faces]
            MatchRejection.objects.bulk_create(said, ignore_conflicts=True)
            rejections.remember(member, photo)
            grouping.add_unmatched(PhotoFace.objects.filter(pk__in=[f for f in faces if f]))


def said_not_me(member: Member, photo: Photo) -> bool:
    """Whether `member` has rejected `photo` or one of its faces."""
    return MatchRejection.objects.filter(member=member, photo=photo).exists()


def taken_off(member: Member, at_most: int) -> list[Photo]:
    """The visible photos that `member` has rejected and is not on, the newest rejection first."""
    said = MatchRejection.objects.filter(member=member).order_by("-said_at", "-pk")
    keys = dict.fromkeys(said.values_list("photo_id", flat=True))
    seen = Photo.objects.visible().select_related("album").only(*_SHOWN)
    there = seen.exclude(pk__in=_photo_ids(member)).in_bulk(list(keys)[:_MOST_REJECTED])
    return [there[key] for key in keys if key in there][:at_most]


def is_by_hand(member: Member, photo: Photo) -> bool:
    """Whether `member` is tagged on `photo` by hand."""
    return ManualTag.objects.filter(member=member, photo=photo).exists()


def undo_not_me(member: Member, photo: Photo) -> bool:
    """Take the rejection back; False if there was none."""
    with transaction.atomic():
        undone = rejections.undo(member, photo)
        for copy in rejections.copies_of(photo):
            grouping.remove_matched(_faces_of(member, copy))
    return undone


def add_by_hand(member: Member, photo: Photo, face: PhotoFace | None = None) -> bool:
    """Tag `member` on `photo` by hand, at a `face` of it if one is known.

    False if they were tagged already; the face is then replaced.
    """
    tag, is_new = ManualTag.objects.get_or_create(
        member=member, photo=photo, defaults={"face": face}
    )
    if not is_new and face is not None:
        ManualTag.objects.filter(pk=tag.pk).update(face=face)
    return is_new


def remove_by_hand(member: Member, photo: Photo) -> bool:
    """Remove the manual tag, and no match; False if there was none."""
    return bool(ManualTag.objects.filter(member=member, photo=photo).delete()[0])


def _photo_ids(member: Member) -> QuerySet[Any]:
    said = MatchRejection.objects.filter(member=member)
    whole = said.filter(face=None).values("photo_id")
    faces = said.filter(face__isnull=False).values("face_id")
    # Looked up first, because they are few: a join might begin with all matches.
    references, people = _found_by(member)
    matched = Match.objects.filter(reference_id__in=references)
    parts: list[QuerySet[Any]] = [
        matched.exclude(face_id__in=faces).exclude(photo_id__in=whole).values("photo_id"),
        ManualTag.objects.filter(member=member).values("photo_id"),
    ]
    if people:
        grouped = UnknownFace.objects.filter(person_id__in=people).exclude(face_id__in=faces)
        parts.append(grouped.exclude(face__photo_id__in=whole).values("face__photo_id"))
    return parts[0].union(*parts[1:])


def _found_by(member: Member) -> tuple[list[int], list[int]]:
    """The references and groups by which a member is found, in one statement."""
    references = Reference.objects.matching().filter(member=member).order_by()
    people = Person.objects.claimed().filter(member=member).order_by()
    kinds = [rows.values_list(Value(kind), "pk") for kind, rows in enumerate((references, people))]
    found: list[tuple[int, int]] = list(kinds[0].union(kinds[1], all=True))
    return [pk for kind, pk in found if kind == 0], [pk for kind, pk in found if kind == 1]


def _faces_of(member: Member, photo: Photo) -> list[int]:
    """The faces of `photo` that are matched with `member` or in their groups."""
    matched = Match.objects.filter(reference__member=member, photo=photo)
    claimed = Person.objects.claimed().filter(member=member)
    grouped = UnknownFace.objects.filter(person__in=claimed, face__photo=photo)
    faces = {*matched.values_list("face_id", flat=True), *grouped.values_list("pk", flat=True)}
    return sorted(faces)


def _matched(photo: Photo) -> list[OnPhoto]:
    counting = Q(reference__in=Reference.objects.matching())
    found = Match.objects.filter(counting, photo=photo).order_by()
    nearest = found.values("reference__member_id", "face_id").annotate(nearest=Min("distance"))
    return [
        OnPhoto(row["reference__member_id"], "matched", row["face_id"], row["nearest"])
        for row in nearest
    ]


def _grouped(photo: Photo) -> list[OnPhoto]:
    claimed = Person.objects.claimed()
    rows = UnknownFace.objects.filter(face__photo=photo, person__in=claimed)
    found = rows.values_list("person__member_id", "face_id")
    return [OnPhoto(member_id, "grouped", face_id) for member_id, face_id in found]
