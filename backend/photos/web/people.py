"""The pages of groups of unknown people, for staff, with FACES_GROUP_UNKNOWN."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from django.conf import settings
from django.contrib import messages
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponseBase, QueryDict
from django.shortcuts import redirect
from django.urls import reverse
from rest_framework.exceptions import ValidationError

from backend.photos import pagination
from backend.photos.access.permissions import can_manage_people
from backend.photos.access.selectors import get_or_404
from backend.photos.clustering import curation
from backend.photos.models import Member, Person, Photo, UnknownFace
from backend.photos.web import crops, tiles
from backend.photos.web.base import for_members, show

_FACES: Final = 60
_SAMPLE: Final = 4
_OTHERS: Final = 60
_MERGED: Final = "merged_people"
"""Key of the session: the last merge, for its undo."""


@for_members("GET", "HEAD", staff=can_manage_people)
def people(request: HttpRequest) -> HttpResponseBase:
    if not settings.FACES_GROUP_UNKNOWN:
        return show(request, "photos/people_off.html", {}, 404)
    hidden = request.GET.get("hidden") == "true"
    rows = Person.objects.filter(hidden=hidden).annotate(faces_count=Count("faces"))
    try:
        page = pagination.page(rows, request.GET, order=("pk",))
    except ValidationError:
        return redirect("people-page")
    shown = [{"person": each, "tiles": faces_of(each, most=_SAMPLE)} for each in page.rows]
    context = {"people": shown, "page": page, "hidden": hidden}
    return show(request, "photos/people.html", context)


@for_members("GET", "HEAD", staff=can_manage_people)
def person(request: HttpRequest, pk: str) -> HttpResponseBase:
    _switched_on()
    row: Person = get_or_404(Person.objects.all(), pk)
    others = Person.objects.exclude(pk=row.pk).filter(hidden=False)
    context = {
        "person": row,
        "status": row.claim_status,
        "faces": faces_of(row),
        "count": row.faces.count(),
        "others": [{"person": each, "faces": faces_of(each, most=1)} for each in others[:_OTHERS]],
        "members": Member.objects.filter(opted_in_at__isnull=False).select_related("user")[:500],
    }
    return show(request, "photos/person.html", context)


@for_members("POST", staff=can_manage_people)
def decide(request: HttpRequest, pk: str, action: str) -> HttpResponseBase:
    _switched_on()
    row: Person = get_or_404(Person.objects.all(), pk)
    try:
        if action == "merge":
            _merge(request, row)
        else:
            _ACTIONS[action](row, request.POST)
    except curation.CurationError as error:
        messages.error(request, str(error))
    return redirect("person-page", pk=row.pk)


@for_members("POST", staff=can_manage_people)
def unmerge(request: HttpRequest) -> HttpResponseBase:
    """Undo the last merge of this session: its faces become a group of their own again."""
    _switched_on()
    merged = request.session.pop(_MERGED, None)
    row = Person.objects.filter(pk=merged["into"]).first() if merged else None
    if merged is None or row is None:
        messages.error(request, "There is nothing to undo.")
        return redirect("people-page")
    try:
        apart = curation.unmerge(row, merged.get("from", 0), name=merged["name"])
    except curation.CurationError as error:
        messages.error(request, str(error))
        return redirect("person-page", pk=row.pk)
    messages.success(request, f"{apart} is a group of its own again.")
    return redirect("person-page", pk=row.pk)


@for_members("GET", "HEAD", staff=can_manage_people)
def crop(request: HttpRequest, pk: str) -> HttpResponseBase:
    """The picture of one unknown face, cut out for each answer and kept nowhere."""
    _switched_on()
    row: UnknownFace = get_or_404(UnknownFace.objects.select_related("face__photo"), pk)
    face = row.face
    if None in (face.top, face.right, face.bottom, face.left):
        raise Http404
    box: Any = {side: getattr(face, side) for side in ("top", "right", "bottom", "left")}
    return crops.cut(request, face.photo, box)


def faces_of(person: Person, *, most: int = _FACES) -> list[dict[str, Any]]:
    """The faces of a group, each with the photo it is on."""
    faces = list(person.faces.select_related("face").order_by("pk")[:most])
    photos = Photo.objects.select_related("album").exclude(file="")
    there = photos.in_bulk([face.face.photo_id for face in faces])
    return [
        {
            "face": face,
            "tile": tiles.tile(there[face.face.photo_id], number),
            "crop": _crop_of(face),
        }
        for number, face in enumerate(faces, start=1)
        if face.face.photo_id in there
    ]


def _switched_on() -> None:
    if not settings.FACES_GROUP_UNKNOWN:
        raise Http404


def _chosen(sent: QueryDict, name: str) -> list[int]:
    return [int(text) for text in sent.getlist(name) if text.isdecimal() and len(text) < 19]


def _one(rows: Any, sent: QueryDict, name: str) -> Any:
    keys = _chosen(sent, name)
    if not keys:
        raise curation.CurationError("Choose one first.")
    return get_or_404(rows, str(keys[0]))


def _take_out(row: Person, sent: QueryDict) -> None:
    for face in _chosen(sent, "face"):
        curation.take_out(row, face)


def _merge(request: HttpRequest, row: Person) -> None:
    other: Person = _one(Person.objects.all(), request.POST, "other")
    named, key = str(other), other.pk
    curation.merge(row, other)
    request.session[_MERGED] = {"into": row.pk, "from": key, "name": other.name}
    messages.success(request, f"Merged with {named}.", extra_tags=reverse("people-unmerge"))


def _crop_of(face: UnknownFace) -> str:
    """The address of the face's picture; of the whole photo where its box is unknown."""
    return "" if face.face.top is None else reverse("unknown-face-crop", args=[face.pk])


def _offer(row: Person, sent: QueryDict) -> None:
    curation.offer(row, _one(Member.objects.all(), sent, "member"))


_ACTIONS: Final[dict[str, Callable[[Person, QueryDict], Any]]] = {
    "name": lambda row, sent: curation.name(row, sent.get("name", "").replace("\0", "")),
    "hide": lambda row, sent: curation.hide(row),
    "show": lambda row, sent: curation.hide(row, hidden=False),
    "split": lambda row, sent: curation.split(row, _chosen(sent, "face")),
    "take-out": _take_out,
    "offer": _offer,
    "confirm": lambda row, sent: curation.confirm(row),
    "disclaim": lambda row, sent: curation.disclaim(row),
}
