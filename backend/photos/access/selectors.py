"""The albums, photos and pictures that a user may see."""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID

from django.db.models import QuerySet
from django.db.models.fields.files import FieldFile
from django.http import Http404

from backend.photos.access.permissions import can_view_hidden
from backend.photos.models import Album, Photo, Reference


def albums_for(user: Any) -> QuerySet[Album]:
    """The albums that this user may see."""
    return Album.objects.all() if can_view_hidden(user) else Album.objects.visible()


def photos_for(user: Any) -> QuerySet[Photo]:
    """The photos with a picture that this user may see."""
    every = Photo.objects.exclude(file="") if can_view_hidden(user) else Photo.objects.visible()
    return every.select_related("album")


def photo_for(user: Any, pk: str) -> Photo:
    """A photo that this user may see, also one without a picture yet; 404 for any other."""
    photos = Photo.objects.all() if can_view_hidden(user) else Photo.objects.visible()
    return cast(Photo, get_or_404(photos.select_related("album"), pk))


def get_or_404(rows: Any, pk: str) -> Any:
    """The row with this key; 404 if there is none."""
    # No database takes a key of more digits.
    row = rows.filter(pk=pk).first() if len(pk) < 19 else None
    if row is None:
        raise Http404
    return row


def photo_picture(
    key: UUID, width_px: int | None, *, viewer: Any, by_link: bool = False
) -> FieldFile | None:
    """The stored picture, if there is one that this viewer, or the holder of a link, may see."""
    if not (viewer.is_authenticated or by_link):
        return None
    photo = photos_for(viewer).filter(key=key).first()
    if photo is None or width_px is None:
        return photo.file if photo else None
    return FieldFile(photo, photo.file.field, photo.thumbnail_name(width_px))


def reference_picture(key: UUID, *, viewer: Any, by_link: bool = False) -> FieldFile | None:
    """As `photo_picture`; only for its member, and not after it was marked for deletion."""
    kept = Reference.objects.filter(key=key, marked_for_deletion_at=None).exclude(file="")
    reference = (kept if by_link else kept.filter(member=viewer.pk)).first()
    return reference.file if reference else None
