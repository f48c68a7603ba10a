"""What workers and the sweep do for galleries. May run twice, and at several places at once."""

import logging
import uuid

import redis

from backend.common.jobs import work
from backend.recognition.models import Operation
from backend.recognition.operations import executor, retention

logger = logging.getLogger(__name__)


def execute(id: str) -> None:
    """Fetch and encode the images of a call, and let it take effect if it is its turn."""
    executor.execute(uuid.UUID(id))


def sweep() -> None:
    """Find calls that dead workers left or no queue knows; delete what is old."""
    try:
        work.release_lost(Operation, on_failed=executor.on_end)
        retention.tidy_up()
        retention.delete_old()
        work.enqueue_lost(Operation)
    except redis.RedisError as error:
        logger.warning("Redis is out of reach, the sweep goes on without: %s", error)
