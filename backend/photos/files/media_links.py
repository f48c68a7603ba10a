"""The addresses of the pictures of photos and references."""

from __future__ import annotations

from functools import cache
from uuid import UUID

from django.urls import reverse

from backend.clients.auth import signed_urls
from backend.photos.models import Photo, Reference


def photo_path(photo: Photo, width_px: int | None = None) -> str:
    """The path of a thumbnail or of the full photo, for logged-in members."""
    before, behind = _around_key("full" if width_px is None else str(width_px))
    return f"{before}{photo.key}{behind}"


def reference_path(reference: Reference) -> str:
    """The path of a reference's picture, for its member."""
    return reverse("reference-picture", args=[reference.key])


def photo_url(photo: Photo, width_px: int | None = None) -> str:
    """A signed URL: it needs no login until it expires."""
    return signed_urls.signed(photo_path(photo, width_px))


def reference_url(reference: Reference) -> str:
    """As `photo_url`."""
    return signed_urls.signed(reference_path(reference))


@cache
def _around_key(size: str) -> tuple[str, str]:
    """The path around the key. `reverse` takes longer than signing, and a page has 200 paths."""
    key = str(UUID(int=0))
    before, _, behind = reverse("photo-picture", args=[key, size]).partition(key)
    return before, behind
