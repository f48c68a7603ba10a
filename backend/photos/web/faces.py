"""The faces of a photo on pages: where they are, whose they are, and what a square tile shows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final

from django.db.models import QuerySet

from backend.photos.matching import member_photos
from backend.photos.models import Member, Photo, PhotoFace
from backend.photos.web.base import whole_number

_STEPS: Final = 8
"""Of the way that a square can be moved over a photo: pages have no styles of their own, so there
is a class for each."""

_ROOM: Final = 0.3
"""Above a face, of its height: a box begins at the brows."""


def members() -> QuerySet[Member]:
    """Members who take part: a face is tied to these alone."""
    taking_part = Member.objects.exclude(opted_in_at=None)
    return taking_part.select_related("user").order_by("user__username")


def named(photo: Photo, sent: Mapping[str, Any]) -> PhotoFace | None:
    """The face of the photo whose index a form names; None for none."""
    index = whole_number(str(sent.get("face", "")), digits=5)
    return None if index is None else photo.faces.filter(index=index).first()


def on_photo(photo: Photo, member: Member, *, names_all: bool) -> list[dict[str, Any]]:
    """The faces with boxes, in shares of the photo, and whose they are as far as the viewer knows.

    A member sees which one is their own; with `names_all` all names are there.
    """
    if not photo.width or not photo.height:
        return []
    names = _names(photo, member, names_all=names_all)
    return [
        {
            "index": face.index,
            "label": f"Face {number}{': ' if names[face.pk] else ''}{', '.join(names[face.pk])}",
            "left": _percent(left, photo.width),
            "top": _percent(top, photo.height),
            "width": _percent(right - left, photo.width),
            "height": _percent(bottom - top, photo.height),
        }
        for number, face in enumerate(photo.faces.order_by("index"), start=1)
        for top, right, bottom, left in _boxes([face])
    ]


def focus(photo: Photo) -> str:
    """The classes of a tile whose square shows the photo's faces, heads first."""
    boxes = _boxes(photo.faces.all())
    width, height = photo.width, photo.height
    if not boxes or not width or not height:
        return ""
    side = min(width, height)
    top = min(top - _ROOM * (bottom - top) for top, _, bottom, _ in boxes)
    low = max(bottom for _, _, bottom, _ in boxes)
    left, right = min(box[3] for box in boxes), max(box[1] for box in boxes)
    across = (left + right - side) / 2
    down = min((top + low - side) / 2, top)
    return f"x{_step(across, width - side)} y{_step(down, height - side)}"


def _names(photo: Photo, member: Member, *, names_all: bool) -> dict[int | None, list[str]]:
    found: dict[int | None, list[str]] = defaultdict(list)
    there = [
        each for each in member_photos.members_on(photo) if names_all or each.member_id == member.pk
    ]
    users = Member.objects.select_related("user").in_bulk([each.member_id for each in there])
    for each in there:
        own = each.member_id == member.pk
        name = "you" if own else str(users[each.member_id])
        if name not in found[each.face_id]:
            found[each.face_id].append(name)
    return found


def _boxes(faces: Any) -> list[tuple[int, int, int, int]]:
    """Top, right, bottom and left of those whose box is known."""
    boxes = [(face.top, face.right, face.bottom, face.left) for face in faces]
    return [box for box in boxes if None not in box]


def _step(start: float, room: int) -> int:
    return round(_STEPS * min(1.0, max(0.0, start / room))) if room else 0


def _percent(part: float, whole: int) -> str:
    return f"{100 * part / whole:.3f}"
