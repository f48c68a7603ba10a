"""What workers do with photos, references and archives. Tasks take ids and may run twice."""

import logging

from backend.photos.albums import archive_import, service
from backend.photos.extraction import dispatch, pipeline, results
from backend.photos.members import retention
from backend.photos.models import Photo, Reference

logger = logging.getLogger(__name__)


def process_photo(id: str) -> None:
    """Make the pictures of a photo, and find its faces where that is our task."""
    pipeline.process(Photo, id)


def process_reference(id: str) -> None:
    """As `process_photo`."""
    pipeline.process(Reference, id)


def unpack(id: str) -> None:
    """Take the photos out of an archive, or as many as fit into one job."""
    archive_import.unpack(id)


def sweep() -> None:
    """What the rows of photos, references and archives need besides being tried again."""
    results.mark_failed_jobs()
    archive_import.sweep()
    service.complete_all()
    dispatch.sweep()
    retention.sweep()
