"""What the sweep does for encodings. May run twice, and at several places at once."""

import logging

from backend.face_encodings import services, statistics

logger = logging.getLogger(__name__)


def sweep() -> None:
    """Settle what nobody waited for; fold the statistics."""
    services.settle_unwaited()
    folded = statistics.fold()
    if folded:
        logger.debug("folded %d rows of the statistics", folded)
