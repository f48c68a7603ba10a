"""Jobs of workers and of the sweep. Each may run twice, and in several processes at once."""

import logging
import uuid

from backend.recognition.operations import events, executor, retention

logger = logging.getLogger(__name__)


def execute(id: str) -> None:
    """Prepare the operation whose client's turn it is; apply what is unblocked then, or was."""
    executor.execute_next(uuid.UUID(id))


def sweep() -> None:
    """Complete and publish ended operations, and delete what is kept no longer."""
    retention.tidy_up()
    events.sweep()
    retention.delete_old()
    retention.delete_stray_files()
    retention.delete_crops_not_kept()
