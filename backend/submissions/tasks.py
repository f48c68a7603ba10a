"""Jobs of submissions, and the sweep. They take ids and may run twice."""

import logging
from datetime import timedelta
from typing import Final

from django.utils import timezone

from backend.submissions import events, services
from backend.submissions.models import Submission

logger = logging.getLogger(__name__)

_BATCH: Final = 1000

_ON_ITS_WAY: Final = timedelta(seconds=3)
"""A worker has probably just ended it and is about to publish the outcome."""


def process(id: str) -> None:
    """Find the faces of one submission and publish the outcome."""
    services.process(id)


def sweep() -> None:
    """Publish the outcomes that are not in the stream, because a worker or Redis lost them."""
    lost = events.mark_lost()
    if lost:
        logger.warning("Redis was emptied: publishing %d recent outcomes again", lost)
    _publish_missing()


def _publish_missing() -> None:
    before = timezone.now() - _ON_ITS_WAY
    missing = Submission.objects.filter(event_id="", processed_at__lt=before)
    for submission in missing.order_by("processed_at")[:_BATCH]:
        if not services.publish(submission):
            break
