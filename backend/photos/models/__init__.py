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
from backend.photos.models.matches import ManualTag, Match, Matching, MatchRejection, RejectedImage
from backend.photos.models.members import Member
from backend.photos.models.people import (
    CLUSTERING_JOB_ID,
    ClusterExclusion,
    ClusteringJob,
    Person,
    UnknownFace,
)
from backend.photos.models.references import Reference
from backend.photos.models.sources import (
    WIDTHS_PX,
    Extraction,
    Source,
    original_path,
    picture_path,
)

__all__ = [
    "CLUSTERING_JOB_ID",
    "WIDTHS_PX",
    "Album",
    "ArchiveUpload",
    "ManualTag",
    "Extraction",
    "ClusteringJob",
    "Like",
    "Match",
    "Matching",
    "Member",
    "MatchRejection",
    "ClusterExclusion",
    "Person",
    "Photo",
    "PhotoFace",
    "Reference",
    "RejectedImage",
    "Source",
    "UnknownFace",
    "archive_path",
    "lock_for_deletion",
    "original_path",
    "picture_path",
]
