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
from backend.photos.groups import agree, claim, disclaim
from backend.photos.groups import open_to as people_for
from backend.photos.matches import add_by_hand, remove_by_hand, say_not_me, undo_not_me
from backend.photos.members import of as member_of
from backend.photos.members import opt_in, opt_out
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
    "add_by_hand",
    "add_photo",
    "add_photos",
    "add_reference",
    "agree",
    "claim",
    "create_album",
    "disclaim",
    "erase_album",
    "erase_photo",
    "give_up",
    "hide_albums",
    "hide_photos",
    "like",
    "mark_for_deletion",
    "member_of",
    "opt_in",
    "opt_out",
    "people_for",
    "record",
    "references_of",
    "remove_by_hand",
    "resubmit",
    "say_not_me",
    "submit",
    "undo_not_me",
    "unlike",
]
