"""Albums, photos, references and members in the admin."""

from backend.photos.admin.albums import AlbumAdmin, ArchiveUploadAdmin
from backend.photos.admin.members import MemberAdmin
from backend.photos.admin.sources import PhotoAdmin, ReferenceAdmin

__all__ = ["AlbumAdmin", "ArchiveUploadAdmin", "MemberAdmin", "PhotoAdmin", "ReferenceAdmin"]
