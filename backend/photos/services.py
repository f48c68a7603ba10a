"""The app's door: what its pages, its API, its admin and its commands call."""

from backend.photos.album_uploads import accept as add_archive
from backend.photos.albums import (
    Report,
    add_photo,
    add_photos,
    create_album,
    erase_album,
    erase_photo,
    hide_albums,
    hide_photos,
    like,
    unlike,
)
from backend.photos.dispatch import submit
from backend.photos.members import of as member_of
from backend.photos.members import opt_out
from backend.photos.recording import Recorded, give_up, record
from backend.photos.references import add as add_reference
from backend.photos.references import mark_for_deletion
from backend.photos.references import of as references_of
from backend.photos.sources import Refused, resubmit

__all__ = [
    "Recorded",
    "Refused",
    "Report",
    "add_archive",
    "add_photo",
    "add_photos",
    "add_reference",
    "create_album",
    "erase_album",
    "erase_photo",
    "give_up",
    "hide_albums",
    "hide_photos",
    "like",
    "mark_for_deletion",
    "member_of",
    "opt_out",
    "record",
    "references_of",
    "resubmit",
    "submit",
    "unlike",
]
