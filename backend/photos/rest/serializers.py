"""What the API tells of albums, photos, references and groups, as plain dictionaries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db.models import Count, Exists, F, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from rest_framework.request import Request

from backend.photos.albums import service
from backend.photos.files import media_links
from backend.photos.matching import member_photos
from backend.photos.matching.member_photos import OnPhoto
from backend.photos.models import WIDTHS_PX, Album, ArchiveUpload, Like, Member, Photo, Reference
from backend.photos.pagination import M, Page
from backend.photos.people_models import Person

Shape = dict[str, Any]


def with_likes(photos: QuerySet[Photo], user: Any) -> QuerySet[Photo]:
    """With what `photo` tells of likes."""
    of_photo = Like.objects.filter(photo=OuterRef("pk")).order_by()
    counted = of_photo.values("photo").annotate(count=Count("pk")).values("count")
    return photos.annotate(
        likes_count=Coalesce(Subquery(counted), 0), liked=Exists(of_photo.filter(user=user.pk))
    )


def paged(page: Page[M], each: Callable[[M], Shape], request: Request) -> Shape:
    """As the old system's lists: `count`, `next`, `previous`, `results`."""
    here = request.build_absolute_uri(request.path)
    return {
        "count": page.count,
        "next": f"{here}?{page.next}" if page.next else None,
        "previous": f"{here}?{page.previous}" if page.previous else None,
        "results": [each(row) for row in page.rows],
    }


def album(row: Album) -> Shape:
    return {
        "pk": row.pk,
        "title": row.title,
        "date": row.date.isoformat(),
        "hidden": row.hidden,
        "is_processing": row.is_processing,
    }


def album_with_progress(row: Album) -> Shape:
    """For staff: also how far its photos are."""
    return {**album(row), **service.progress(row)}


def photo(row: Photo) -> Shape:
    """With addresses that open without a login, until they end."""
    small, medium, large = (media_links.photo_url(row, width_px) for width_px in WIDTHS_PX)
    full = media_links.photo_url(row)
    return {
        "pk": row.pk,
        "album": {
            "pk": row.album_id,
            "title": row.album.title,
            "date": row.album.date.isoformat(),
        },
        "taken_at": row.taken_at.isoformat(),
        "width": row.width,
        "height": row.height,
        "hidden": row.hidden,
        "file": {"full": full, "small": small, "medium": medium, "large": large},
        "num_likes": getattr(row, "likes_count", 0),
        "liked": bool(getattr(row, "liked", False)),
    }


def photo_in_full(row: Photo, viewer: Member) -> Shape:
    """Also its faces, and whether the viewer is on it."""
    names = ("index", "top", "right", "bottom", "left")
    boxes = row.faces.order_by("index").values("pk", *names)
    faces = [
        {"pk": face["pk"], "box": {name: face[name] for name in names[1:]}}
        if face["top"] is not None
        else {"pk": face["pk"], "box": None}
        for face in boxes
    ]
    return {**photo(row), "faces": faces, "is_me": member_photos.is_on(viewer, row)}


def on_photo(each: OnPhoto) -> Shape:
    return {
        "member": each.member_id,
        "how": each.how,
        "face": each.face_id,
        "distance": None if each.distance is None else round(each.distance, 4),
    }


def reference(row: Reference) -> Shape:
    return {
        "pk": row.pk,
        "status": row.extraction,
        "reason": row.why or None,
        "created_at": row.created_at.isoformat(),
        # None until a worker has made the picture that is shown.
        "file": media_links.reference_url(row) if row.file else None,
    }


def archive(row: ArchiveUpload) -> Shape:
    return {
        "pk": row.pk,
        "album": row.album_id,
        "name": row.name,
        "status": row.status,
        "reason": row.reason or None,
        "entries_count": row.entries_count or None,
        "entries_seen": row.entries_seen,
        "photos_added": row.photos_added,
        "skipped_count": row.skipped,
        "skipped": list(row.report),
    }


def person(row: Person) -> Shape:
    return {
        "pk": row.pk,
        "name": row.name,
        "hidden": row.hidden,
        "faces_count": getattr(row, "faces_count", None) or row.faces.count(),
        "member": row.member_id,
        "status": status_of(row),
    }


def status_of(row: Person) -> str:
    """How far a group is on its way to a member."""
    if row.is_claimed:
        return "claimed"
    if row.member_id is None:
        return "unknown"
    return "agreed" if row.agreed_at else "offered"


def person_in_full(row: Person) -> Shape:
    # F: the key of a face in a group is the face's own.
    found = row.faces.annotate(photo_id=F("face__photo_id")).order_by("pk")
    faces = [{"pk": face, "photo": photo} for face, photo in found.values_list("pk", "photo_id")]
    return {**person(row), "faces": faces[:1000]}
