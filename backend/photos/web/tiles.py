"""A photo on a page: its addresses and its alternative text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from typing import Final

from django.urls import reverse

from backend.photos.files import media_links
from backend.photos.models import WIDTHS_PX, Album, Photo

_ANY: Final = 123_456_789_012_345_678


@dataclass(frozen=True)
class Tile:
    photo: Photo
    alt: str
    focus: str = ""
    """Classes of the part that a square shows; empty: rather the upper one."""

    @property
    def src(self) -> str:
        return media_links.photo_path(self.photo, WIDTHS_PX[0])

    @property
    def srcset(self) -> str:
        return ", ".join(f"{media_links.photo_path(self.photo, px)} {px}w" for px in WIDTHS_PX)

    @property
    def large(self) -> str:
        return media_links.photo_path(self.photo, WIDTHS_PX[-1])

    @property
    def full(self) -> str:
        return media_links.photo_path(self.photo)

    @property
    def page(self) -> str:
        return _of_photo("photo-page", self.photo.pk)

    @property
    def not_me(self) -> str:
        return _of_photo("photo-say", self.photo.pk, "not-me")

    @property
    def undo_not_me(self) -> str:
        return _of_photo("photo-say", self.photo.pk, "undo-not-me")


@dataclass(frozen=True)
class Row:
    """Photos of one album, under its title."""

    album: Album
    tiles: Sequence[Tile]


def _of_photo(name: str, pk: int, *more: str) -> str:
    before, behind = _around_pk(name, *more)
    return f"{before}{pk}{behind}"


@cache
def _around_pk(name: str, *more: str) -> tuple[str, str]:
    """The path around the key. A page has a hundred, and `reverse` takes longer than a query."""
    before, _, behind = reverse(name, args=[_ANY, *more]).partition(str(_ANY))
    return before, behind


def tile(photo: Photo, number: int, focus: str = "") -> Tile:
    """`number` is the photo's position, from 1."""
    day = photo.album.date
    return Tile(photo, f"Photo {number} of {photo.album.title}, {day.day} {day:%B %Y}", focus)


def numbered(photos: Iterable[Photo], *, first: int = 1) -> list[Tile]:
    return [tile(photo, number) for number, photo in enumerate(photos, start=first)]


def by_album(photos: Iterable[Photo]) -> list[Row]:
    """Rows of photos that are sorted by album."""
    grouped = groupby(photos, key=lambda photo: photo.album_id)
    rows = [list(some) for _, some in grouped]
    return [Row(some[0].album, numbered(some)) for some in rows]
