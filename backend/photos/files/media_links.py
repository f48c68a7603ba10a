"""Which stored pictures somebody may see, and the addresses of these."""

from __future__ import annotations

from functools import cache
from typing import Any
from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models.fields.files import FieldFile
from django.urls import reverse

from backend.clients.auth import signed_urls
from backend.photos.models import Photo, Reference

Viewer = AbstractBaseUser | AnonymousUser


def photo_path(photo: Photo, width_px: int | None = None) -> str:
    """The path of a thumbnail, or of the photo in full: for members who are logged in."""
    before, behind = _around_key("full" if width_px is None else str(width_px))
    return f"{before}{photo.key}{behind}"


def reference_path(reference: Reference) -> str:
    """The path of a reference's picture: for its member, logged in."""
    return reverse("reference-picture", args=[reference.key])


def photo_url(photo: Photo, width_px: int | None = None) -> str:
    """An absolute address that opens it without a login, for as long as links do."""
    return signed_urls.signed(photo_path(photo, width_px))


def reference_url(reference: Reference) -> str:
    """As `photo_url`: whoever is given it sees the member's face."""
    return signed_urls.signed(reference_path(reference))


def photo_picture(
    key: UUID, width_px: int | None, *, viewer: Viewer, by_link: bool = False
) -> FieldFile | None:
    """The stored picture, if there is one that this viewer, or whoever holds a link, may see."""
    may_all = viewer.is_authenticated and _keeps_albums(viewer)
    if not (viewer.is_authenticated or by_link):
        return None
    photos = Photo.objects.exclude(file="") if may_all else Photo.objects.visible()
    photo = photos.filter(key=key).first()
    if photo is None or width_px is None:
        return photo.file if photo else None
    return FieldFile(photo, photo.file.field, photo.thumbnail_name(width_px))


def reference_picture(key: UUID, *, viewer: Viewer, by_link: bool = False) -> FieldFile | None:
    """As `photo_picture`; nobody sees another's, nor one that its member deleted."""
    kept = Reference.objects.filter(key=key, marked_for_deletion_at=None).exclude(file="")
    reference = (kept if by_link else kept.filter(member=viewer.pk)).first()
    return reference.file if reference else None


@cache
def _around_key(size: str) -> tuple[str, str]:
    """Of the path: to put one together takes Django longer than to sign it, and a page has 200."""
    key = str(UUID(int=0))
    before, _, behind = reverse("photo-picture", args=[key, size]).partition(key)
    return before, behind


def _keeps_albums(viewer: Any) -> bool:
    return bool(viewer.is_staff and viewer.has_perm("photos.view_photo"))
