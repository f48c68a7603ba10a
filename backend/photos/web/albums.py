"""The pages of albums and photos, and the upload by staff."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import Http404, HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import content_disposition_header
from rest_framework.exceptions import ValidationError

from backend.common.http import protected_files
from backend.photos import pagination, status
from backend.photos.access.audited import note
from backend.photos.access.permissions import can_manage_albums, can_manage_people
from backend.photos.access.selectors import albums_for, get_or_404, photo_for, photos_for
from backend.photos.albums import archive_import, service
from backend.photos.albums.service import Skipped
from backend.photos.clustering import curation
from backend.photos.files import storage
from backend.photos.forms import AlbumForm, DetectorForm
from backend.photos.matching import member_photos
from backend.photos.members import consent
from backend.photos.models import Album, Like, Member, Photo
from backend.photos.web import faces, tiles, zipped
from backend.photos.web.base import (
    back,
    finished,
    for_members,
    refusal_of_upload,
    show,
    whole_number,
)

_SHOWN: Final = 60
_ARCHIVES: Final = (".zip", ".tar", ".tgz", ".tar.gz")


@for_members("GET", "HEAD")
def start(request: HttpRequest) -> HttpResponseBase:
    return redirect("albums-page")


@for_members("GET", "HEAD")
def album_list(request: HttpRequest) -> HttpResponseBase:
    try:
        page = pagination.page(
            albums_for(request.user), request.GET, order=pagination.NEWEST_ALBUMS
        )
    except ValidationError:
        return redirect("albums-page")
    covers = _covers(page.rows, request.user)
    shown = [{"album": each, "cover": covers.get(each.pk)} for each in page.rows]
    return show(request, "photos/albums.html", {"albums": shown, "page": page})


@for_members("GET", "HEAD")
def album(request: HttpRequest, pk: str) -> HttpResponseBase:
    row, photos, first = _photos(request, pk)
    rows = list(photos[first : first + _SHOWN + 1])
    context = {
        "album": row,
        "tiles": tiles.numbered(rows[:_SHOWN], first=first + 1),
        "count": (count := photos.count()),
        "downloads": range(0, count, zipped.MOST_PHOTOS),
        "next": first + _SHOWN if len(rows) > _SHOWN else None,
        "previous": max(0, first - _SHOWN) if first else None,
    }
    return show(request, "photos/album.html", context)


@for_members("GET", "HEAD", "POST", staff=can_manage_albums)
def new(request: HttpRequest) -> HttpResponseBase:
    form = AlbumForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        made = service.create_album(**form.cleaned_data)
        return redirect("album-upload-page", pk=made.pk)
    bad = request.method == "POST"
    return show(request, "photos/album_new.html", {"form": form}, 400 if bad else 200)


@for_members("GET", "HEAD", "POST", staff=can_manage_albums)
def edit(request: HttpRequest, pk: str) -> HttpResponseBase:
    row = get_or_404(Album.objects.all(), pk)
    known = {"title": row.title, "date": row.date, "hidden": row.hidden}
    form = AlbumForm(request.POST or None, initial=known)
    if request.method == "POST" and form.is_valid():
        note(request, "change", row)
        service.change_album(row, **form.cleaned_data)
        messages.success(request, "The album is changed.")
        return redirect("album-page", pk=row.pk)
    bad = request.method == "POST"
    context = {"form": form, "album": row}
    return show(request, "photos/album_new.html", context, 400 if bad else 200)


@for_members("GET", "HEAD", "POST", staff=can_manage_albums)
def delete(request: HttpRequest, pk: str) -> HttpResponseBase:
    row = get_or_404(Album.objects.all(), pk)
    if request.method == "POST":
        note(request, "erase", row)
        service.erase_album(row)
        messages.success(request, f"The album “{row.title}” and its photos are erased.")
        return redirect("albums-page")
    context = {"album": row, "count": row.photos.count()}
    return show(request, "photos/album_delete.html", context)


@for_members("POST", staff=can_manage_albums)
def choose(request: HttpRequest, pk: str) -> HttpResponseBase:
    """Hide, show or erase the chosen photos of an album."""
    row = get_or_404(Album.objects.all(), pk)
    keys = [int(each) for each in request.POST.getlist("photo") if each.isdecimal()][:_SHOWN]
    photos = list(Photo.objects.filter(album=row, pk__in=keys))
    action = request.POST.get("action", "")
    if not photos:
        messages.error(request, "Choose some photos first.")
    elif action == "erase":
        for photo in photos:
            note(request, "erase", photo)
            service.erase_photo(photo)
        messages.success(request, f"Erased: {len(photos)}.")
    elif action in ("hide", "show"):
        for photo in photos:
            note(request, action, photo)
        service.hide_photos(photos, hidden=action == "hide")
        messages.success(request, f"{'Hidden' if action == 'hide' else 'Shown'}: {len(photos)}.")
    return back(request, reverse("album-page", args=[row.pk]))


@for_members("GET", "HEAD", "POST", staff=can_manage_albums)
def upload(request: HttpRequest, pk: str) -> HttpResponseBase:
    row = get_or_404(Album.objects.all(), pk)
    skipped: list[Skipped] = []
    if request.method == "POST":
        if refusal := refusal_of_upload(request):
            return refusal
        if "hidden" in request.POST:
            hidden = request.POST["hidden"] == "true"
            note(request, "hide" if hidden else "show", row)
            service.hide_albums([row], hidden=hidden)
            return redirect("album-upload-page", pk=row.pk)
        skipped = _taken_in(request, row)
        if not skipped:
            return redirect("album-upload-page", pk=row.pk)
    context = {
        "album": row,
        "choice": DetectorForm(request.POST or None),
        "progress": service.progress(row),
        "uploads": row.uploads.all()[:20],
        "failed": row.photos.filter(status="failed")[:50],
        "skipped": skipped,
        "status": status.album_status(row),
        "max_bytes": settings.FACES_MAX_UPLOAD_BYTES,
        "max_archive_bytes": settings.FACES_MAX_ARCHIVE_BYTES,
        "archives": ",".join(_ARCHIVES),
        "keeps_originals": settings.FACES_KEEP_ORIGINALS,
    }
    return show(request, "photos/album_upload.html", context)


@for_members("GET", "HEAD")
def photo(request: HttpRequest, pk: str) -> HttpResponseBase:
    row, member = photo_for(request.user, pk), consent.member_of(request.user)
    people = curation.claimable_by(member).filter(faces__face__photo=row).distinct()
    names = can_manage_people(request.user)
    context = {
        "faces": faces.on_photo(row, member, names_all=names),
        "members": faces.members() if names else [],
        "tile": tiles.tile(row, _number(row, request.user)),
        "is_me": member_photos.is_on(member, row),
        "said_not_me": member_photos.said_not_me(member, row),
        "by_hand": member_photos.is_by_hand(member, row),
        "likes_count": row.likes.count(),
        "liked": Like.objects.filter(photo=row, user_id=member.pk).exists(),
        "people": people,
        "on_it": _names_on(row) if can_manage_people(request.user) else [],
    }
    return show(request, "photos/photo.html", context)


@for_members("GET", "HEAD", staff=can_manage_albums)
def original(request: HttpRequest, pk: str) -> HttpResponseBase:
    """The uploaded file, where `FACES_KEEP_ORIGINALS` kept it."""
    row = photo_for(request.user, pk)
    if not row.is_original_kept:
        raise Http404
    return protected_files.x_accel_response(row.original)


@for_members("POST", staff=can_manage_people)
def tag(request: HttpRequest, pk: str) -> HttpResponseBase:
    """A member who takes part is on the photo, at a face, as staff says."""
    row, name = photo_for(request.user, pk), request.POST.get("member", "")
    whom = faces.members().filter(user__username=name.replace("\0", "")).first()
    if whom is None:
        messages.error(request, "No member of this name takes part.")
    else:
        member_photos.add_by_hand(whom, row, faces.named(row, request.POST))
        messages.success(request, f"{whom} is on this photo.")
    return redirect("photo-page", pk=row.pk)


@for_members("GET", "HEAD")
def download(request: HttpRequest, pk: str) -> HttpResponseBase:
    """The photos of an album that the user may see, in one zip."""
    row, photos, first = _photos(request, pk)
    chosen = list(photos[first : first + zipped.MOST_PHOTOS])
    if not chosen:
        raise Http404
    answer = StreamingHttpResponse(zipped.stream(chosen), content_type="application/zip")
    name = f"{row.date} {row.title}.zip"
    answer["Content-Disposition"] = content_disposition_header(True, name) or "attachment"
    return finished(request, answer)


@for_members("POST")
def say(request: HttpRequest, pk: str, said: str) -> HttpResponseBase:
    row, member = photo_for(request.user, pk), consent.member_of(request.user)
    does: dict[str, Callable[[], Any]] = {
        "like": lambda: service.like(row, request.user),  # type: ignore[arg-type]
        "unlike": lambda: service.unlike(row, request.user),  # type: ignore[arg-type]
        "not-me": lambda: member_photos.say_not_me(member, row),
        "undo-not-me": lambda: member_photos.undo_not_me(member, row),
        "me": lambda: member_photos.add_by_hand(member, row, faces.named(row, request.POST)),
        "not-by-hand": lambda: member_photos.remove_by_hand(member, row),
        "hide": lambda: service.hide_photos([row], hidden=True),
        "show": lambda: service.hide_photos([row], hidden=False),
    }
    if said in ("hide", "show"):
        if not can_manage_albums(request.user):
            raise PermissionDenied
        note(request, said, row)
    does[said]()
    if said == "not-me":
        undo = reverse("photo-say", args=[row.pk, "undo-not-me"])
        messages.success(request, "That photo is not among yours any more.", extra_tags=undo)
    if said == "undo-not-me":
        messages.success(request, "“Not me” is taken back.")
    return back(request, reverse("photo-page", args=[row.pk]))


def _covers(rows: list[Album], user: Any) -> dict[int, tiles.Tile]:
    """By album: its chosen cover, or else its first photo."""
    seen = photos_for(user)
    first = seen.filter(album=OuterRef("pk")).order_by(*pagination.IN_ALBUM).values("pk")[:1]
    chosen = seen.filter(pk=OuterRef("cover_id")).values("pk")
    wanted = Album.objects.filter(pk__in=[row.pk for row in rows]).order_by()
    keys = wanted.values_list(Coalesce(Subquery(chosen), Subquery(first)), flat=True)
    photos = seen.filter(pk__in=list(keys)).prefetch_related("faces")
    return {photo.album_id: tiles.tile(photo, 1, faces.focus(photo)) for photo in photos}


def _number(row: Photo, user: Any) -> int:
    """Its position in the album as this user sees it, from 1."""
    before = Q(taken_at__lt=row.taken_at) | Q(taken_at=row.taken_at, pk__lt=row.pk)
    count: int = photos_for(user).filter(album=row.album).filter(before).count()
    return count + 1


def _names_on(row: Photo) -> list[tuple[Member, str]]:
    """The members on a photo, and why, for staff."""
    on_it = {each.member_id: each.how for each in member_photos.members_on(row)}
    rows = Member.objects.filter(pk__in=on_it).select_related("user").order_by("pk")
    return [(member, on_it[member.pk]) for member in rows]


def _taken_in(request: HttpRequest, row: Album) -> list[Skipped]:
    """Add the files of a form sent without JavaScript; returns those that were skipped."""
    sent, choice = request.FILES.getlist("file"), DetectorForm(request.POST)
    if errors := choice.errors_as_sentences():
        return [Skipped("", error) for error in errors]
    detector = choice.cleaned_data["detector"]
    archives = [file for file in sent if (file.name or "").lower().endswith(_ARCHIVES)]
    photos = [file for file in sent if file not in archives]
    report = service.add_photos(row, photos, detector=detector)
    for file in archives:
        try:
            archive_import.accept(row, file, by=request.user, detector=detector)  # type: ignore[arg-type]
        except storage.UploadRejected as error:
            report.skipped.append(Skipped(file.name or "", str(error)))
    return report.skipped if sent else [Skipped("", "Choose some files.")]


def _photos(request: HttpRequest, pk: str) -> tuple[Album, QuerySet[Photo], int]:
    """An album that the user may see, its photos in order, and the place of the first to show."""
    row = get_or_404(albums_for(request.user), pk)
    photos = photos_for(request.user).filter(album=row).order_by(*pagination.IN_ALBUM)
    return row, photos, whole_number(request.GET.get("from", ""), digits=6) or 0
