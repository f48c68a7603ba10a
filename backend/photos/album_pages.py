"""The pages of albums and photos, and how staff fills an album."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from rest_framework.exceptions import ValidationError

from backend.photos import albums as stored
from backend.photos import api_serializers, matches, paging, services, status, tiles
from backend.photos.api_album_views import albums_for, photos_in
from backend.photos.api_views import found, seen
from backend.photos.forms import AlbumForm
from backend.photos.models import Album, Like, Photo
from backend.photos.page_base import back, for_members, refusal_of_upload, show
from backend.photos.roles import keeps_albums

_SHOWN: Final = 60
_ARCHIVES: Final = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz")


@for_members("GET", "HEAD")
def start(request: HttpRequest) -> HttpResponseBase:
    return redirect("albums-page")


@for_members("GET", "HEAD")
def albums(request: HttpRequest) -> HttpResponseBase:
    try:
        page = paging.page(albums_for(request.user), request.GET, order=paging.NEWEST_ALBUMS)
    except ValidationError:
        return redirect("albums-page")
    shown = [{"album": each, "cover": _cover(each, request.user)} for each in page.rows]
    return show(request, "photos/albums.html", {"albums": shown, "page": page})


@for_members("GET", "HEAD")
def album(request: HttpRequest, pk: str) -> HttpResponseBase:
    row = found(albums_for(request.user), pk)
    photos = photos_in(row, request.user).order_by(*paging.IN_ALBUM)
    text = request.GET.get("from", "")
    first = int(text) if text.isascii() and text.isdecimal() and len(text) < 7 else 0
    rows = list(photos[first : first + _SHOWN + 1])
    context = {
        "album": row,
        "tiles": tiles.numbered(rows[:_SHOWN], first=first + 1),
        "count": photos.count(),
        "next": first + _SHOWN if len(rows) > _SHOWN else None,
        "previous": max(0, first - _SHOWN) if first else None,
    }
    return show(request, "photos/album.html", context)


@for_members("GET", "HEAD", "POST", staff=keeps_albums)
def new(request: HttpRequest) -> HttpResponseBase:
    form = AlbumForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        made = services.create_album(**form.cleaned_data)
        return redirect("album-upload-page", pk=made.pk)
    bad = request.method == "POST"
    return show(request, "photos/album_new.html", {"form": form}, 400 if bad else 200)


@for_members("GET", "HEAD", "POST", staff=keeps_albums)
def upload(request: HttpRequest, pk: str) -> HttpResponseBase:
    row = found(Album.objects.all(), pk)
    skipped: list[tuple[str, str]] = []
    if request.method == "POST":
        if refusal := refusal_of_upload(request):
            return refusal
        if "hidden" in request.POST:
            services.hide_albums([row], hidden=request.POST["hidden"] == "true")
            return redirect("album-upload-page", pk=row.pk)
        skipped = _taken_in(request, row)
        if not skipped:
            return redirect("album-upload-page", pk=row.pk)
    context = {
        "album": row,
        "progress": stored.progress(row),
        "uploads": [api_serializers.archive(each) for each in row.uploads.all()[:20]],
        "failed": row.photos.filter(status="failed")[:50],
        "skipped": skipped,
        "status": status.of_album(row),
        "max_bytes": settings.FACES_MAX_UPLOAD_BYTES,
        "archives": ",".join(_ARCHIVES),
    }
    return show(request, "photos/album_upload.html", context)


@for_members("GET", "HEAD")
def photo(request: HttpRequest, pk: str) -> HttpResponseBase:
    row, member = seen(pk, request.user), services.member_of(request.user)
    before = Photo.objects.filter(album=row.album, taken_at__lt=row.taken_at).count()
    on_it = matches.members_on(row)
    people = services.people_for(member).filter(faces__face__photo=row).distinct()
    context = {
        "tile": tiles.tile(row, before + 1),
        "is_me": matches.is_on(member, row),
        "said_not_me": matches.said_not_me(member, row),
        "by_hand": any(each.member_id == member.pk and each.how == "by hand" for each in on_it),
        "likes_count": row.likes.count(),
        "liked": Like.objects.filter(photo=row, user_id=member.pk).exists(),
        "people": people,
        "on_it": on_it,
    }
    return show(request, "photos/photo.html", context)


@for_members("POST")
def say(request: HttpRequest, pk: str, said: str) -> HttpResponseBase:
    row, member = seen(pk, request.user), services.member_of(request.user)
    does: dict[str, Callable[[], Any]] = {
        "like": lambda: services.like(row, request.user),  # type: ignore[arg-type]
        "unlike": lambda: services.unlike(row, request.user),  # type: ignore[arg-type]
        "not-me": lambda: services.say_not_me(member, row),
        "undo-not-me": lambda: services.undo_not_me(member, row),
        "me": lambda: services.add_by_hand(member, row),
        "not-by-hand": lambda: services.remove_by_hand(member, row),
        "hide": lambda: services.hide_photos([row], hidden=True),
        "show": lambda: services.hide_photos([row], hidden=False),
    }
    if said in ("hide", "show") and not keeps_albums(request.user):
        raise PermissionDenied
    does[said]()
    if said == "not-me":
        messages.success(request, "That photo is not among yours any more.")
    return back(request, reverse("photo-page", args=[row.pk]))


def _cover(row: Album, user: Any) -> tiles.Tile | None:
    photos = photos_in(row, user)
    chosen = photos.filter(pk=row.cover_id).first() if row.cover_id else None
    first = chosen or photos.order_by(*paging.IN_ALBUM).first()
    return tiles.tile(first, 1) if first else None


def _taken_in(request: HttpRequest, row: Album) -> list[tuple[str, str]]:
    """The files of a form without script; returns those that are not taken in, and why."""
    sent = request.FILES.getlist("file")
    archives = [file for file in sent if (file.name or "").lower().endswith(_ARCHIVES)]
    report = services.add_photos(row, [file for file in sent if file not in archives])
    for file in archives:
        try:
            services.add_archive(row, file, by=request.user)  # type: ignore[arg-type]
        except services.Refused as error:
            report.skipped.append((file.name or "", str(error)))
    return report.skipped if sent else [("", "Choose some files.")]
