"""The addresses of the pictures of photos and references."""

from __future__ import annotations

from functools import cache
from uuid import UUID

from django.urls import reverse

from backend.clients.auth import signed_urls
from backend.photos.models import Photo, Reference


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


@cache
def _around_key(size: str) -> tuple[str, str]:
    """Of the path: to put one together takes Django longer than to sign it, and a page has 200."""
    key = str(UUID(int=0))
    before, _, behind = reverse("photo-picture", args=[key, size]).partition(key)
    return before, behind
