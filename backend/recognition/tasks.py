"""What workers and the sweep do for galleries. May run twice, and at several places at once."""

import logging
import uuid

from backend.recognition.operations import executor, retention

logger = logging.getLogger(__name__)


def execute(id: str) -> None:
    """Fetch and encode the images of a call, and let it take effect if it is its turn."""
    executor.execute(uuid.UUID(id))


def sweep() -> None:
    """Delete what ended operations left behind, and old ones."""
    retention.tidy_up()
    retention.delete_old()
