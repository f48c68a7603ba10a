"""The workers' tasks on photos, references and archives. Tasks take ids and may run twice."""

import logging

from backend.photos.albums import archive_import, service
from backend.photos.extraction import dispatch, pipeline, results
from backend.photos.members import retention
from backend.photos.models import Photo, Reference

logger = logging.getLogger(__name__)


def process_photo(id: str) -> None:
    """Make the renditions of a photo, of the album whose turn it is; extract its faces if workers
    do that."""
    pipeline.process(Photo)


def process_reference(id: str) -> None:
    """As `process_photo`, of the member whose turn it is."""
    pipeline.process(Reference)


def unpack(id: str) -> None:
    """Unpack an archive, into the album whose turn it is, or as much of it as fits into one job."""
    archive_import.unpack()


def sweep() -> None:
    """Finish what dead workers left, besides retries; submit and erase what is due."""
    results.mark_failed_jobs()
    archive_import.sweep()
    service.complete_all()
    dispatch.sweep()
    retention.sweep()
