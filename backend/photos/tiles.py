"""A photo on a page: its addresses, and what is read out of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from backend.photos import serving
from backend.photos.models import WIDTHS_PX, Album, Photo


@dataclass(frozen=True)
class Tile:
    photo: Photo
    alt: str

    @property
    def src(self) -> str:
        return serving.photo_path(self.photo, WIDTHS_PX[0])

    @property
    def srcset(self) -> str:
        return ", ".join(f"{serving.photo_path(self.photo, px)} {px}w" for px in WIDTHS_PX)

    @property
    def large(self) -> str:
        return serving.photo_path(self.photo, WIDTHS_PX[-1])

    @property
    def full(self) -> str:
        return serving.photo_path(self.photo)


@dataclass(frozen=True)
class Row:
    """Photos of one album, under its title."""

    album: Album
    tiles: Sequence[Tile]


def tile(photo: Photo, number: int) -> Tile:
    """`number` counts the photos before it, and itself."""
    day = photo.album.date
    return Tile(photo, f"Photo {number} of {photo.album.title}, {day.day} {day:%B %Y}")


def numbered(photos: Iterable[Photo], *, first: int = 1) -> list[Tile]:
    return [tile(photo, number) for number, photo in enumerate(photos, start=first)]


def by_album(photos: Iterable[Photo]) -> list[Row]:
    """Photos that come album by album."""
    grouped = groupby(photos, key=lambda photo: photo.album_id)
    rows = [list(some) for _, some in grouped]
    return [Row(some[0].album, numbered(some)) for some in rows]
