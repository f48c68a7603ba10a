"""What workers do with photos, references and archives. Tasks take ids and may run twice."""

import logging

import redis

from backend.common.jobs import work
from backend.photos.albums import archive_import, service
from backend.photos.extraction import dispatch, pipeline, results
from backend.photos.members import retention
from backend.photos.models import ArchiveUpload, Photo, Reference

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
    """Find lost and stale work. Any number of sweeps may run at once, and any may be killed."""
    work.release_lost(Photo, on_failed=results.give_up)
    work.release_lost(Reference, on_failed=results.give_up)
    work.release_lost(ArchiveUpload, on_failed=archive_import.ended)
    results.give_up_failed()
    archive_import.sweep()
    service.complete_all()
    dispatch.sweep()
    retention.sweep()
    try:
        work.enqueue_lost(Reference)
        work.enqueue_lost(ArchiveUpload)
        work.enqueue_lost(Photo)
    except redis.RedisError as error:
        logger.warning("Redis is out of reach, the sweep goes on without: %s", error)
