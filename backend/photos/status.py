"""Progress of a member's or an album's work. Pages poll it, and reload when `version` changes."""

from __future__ import annotations

import hashlib
from typing import TypedDict

from backend.common.jobs.models import Status
from backend.photos.albums import service
from backend.photos.matching import member_photos
from backend.photos.members import references
from backend.photos.models import Album, Extraction, Member

NOT_PROCESSED = "Your reference has not been processed yet"
"""A sentence of the contract."""


class MemberStatus(TypedDict):
    processing: bool
    message: str | None
    references: dict[str, int]
    """Number of references by state."""
    photos_count: int
    version: str


class AlbumStatus(TypedDict):
    processing: bool
    version: str


def member_status(member: Member, *, photos_count: int | None = None) -> MemberStatus:
    """`photos_count` saves a query where it is known already."""
    rows = list(references.references_of(member).values_list("pk", "extraction", "file"))
    count = member_photos.photos_of(member).count() if photos_count is None else photos_count
    processing = member_photos.is_processing(member)
    states = [state for _, state, _ in rows]
    return {
        "processing": processing,
        "message": NOT_PROCESSED if processing else None,
        "references": {str(state): states.count(state) for state in Extraction},
        "photos_count": count,
        "version": _version(rows, count, processing),
    }


def album_status(album: Album) -> AlbumStatus:
    """For staff who may manage albums."""
    progress = service.progress(album)
    uploads = list(album.uploads.order_by("pk").values_list("pk", "status", "entries_seen"))
    ended = progress["done_count"] + progress["failed_count"]
    at_work = any(status in (Status.QUEUED, Status.PROCESSING) for _, status, _ in uploads)
    processing = at_work or album.is_processing or ended < progress["photos_count"]
    return {
        "processing": processing,
        "version": _version(progress, uploads, album.hidden, album.is_processing),
    }


def _version(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
