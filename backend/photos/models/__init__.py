"""The app's tables: members, albums with photos, references, matches, groups of unknown people."""

from backend.photos.models.albums import (
    Album,
    ArchiveUpload,
    Like,
    Photo,
    PhotoFace,
    archive_path,
)
from backend.photos.models.locks import lock_for_deletion
from backend.photos.models.matches import ByHand, Match, Matching, NotMe
from backend.photos.models.members import Member
from backend.photos.models.people import GROUPING_ID, Grouping, NotPerson, Person, UnknownFace
from backend.photos.models.references import Reference
from backend.photos.models.sources import (
    WIDTHS_PX,
    Extraction,
    Source,
    original_path,
    picture_path,
)

__all__ = [
    "GROUPING_ID",
    "WIDTHS_PX",
    "Album",
    "ArchiveUpload",
    "ByHand",
    "Extraction",
    "Grouping",
    "Like",
    "Match",
    "Matching",
    "Member",
    "NotMe",
    "NotPerson",
    "Person",
    "Photo",
    "PhotoFace",
    "Reference",
    "Source",
    "UnknownFace",
    "archive_path",
    "lock_for_deletion",
    "original_path",
    "picture_path",
]
