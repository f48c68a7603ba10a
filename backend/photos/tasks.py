"""The workers' tasks on photos, references and archives. Tasks take ids and may run twice."""

import logging

from backend.photos.albums import archive_import, service
from backend.photos.extraction import dispatch, pipeline, results
from backend.photos.members import retention
from backend.photos.models import Photo, Reference

logger = logging.getLogger(__name__)


def process_photo(id: str) -> None:
    """Make the renditions of a photo, and extract its faces if workers do that."""
    pipeline.process(Photo, id)


def process_reference(id: str) -> None:
    """As `process_photo`."""
    pipeline.process(Reference, id)


def unpack(id: str) -> None:
    """Unpack an archive, or as much of it as fits into one job."""
    archive_import.unpack(id)


def sweep() -> None:
    """Finish what dead workers left, besides retries; submit and erase what is due."""
    results.mark_failed_jobs()
    archive_import.sweep()
    service.complete_all()
    dispatch.sweep()
    retention.sweep()
