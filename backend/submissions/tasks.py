"""What workers do with submissions. Tasks take ids and may run twice."""

import logging
from datetime import timedelta
from typing import Final

import redis
from django.utils import timezone

from backend.common.jobs import work
from backend.common.observability import logs
from backend.submissions import events, services
from backend.submissions.models import Submission

logger = logging.getLogger(__name__)

_BATCH: Final = 1000

_ON_ITS_WAY: Final = timedelta(seconds=3)
"""A worker has probably just ended it and is about to tell."""


def process(id: str) -> None:
    """Find the faces of one submission and tell the listeners."""
    with logs.about_submission(id):
        services.process(id)


def sweep() -> None:
    """Find lost and stale work: the database is the truth, the queue and the stream are hints.

    Any number of sweeps may run at once, and any may be killed: every step is a conditional update
    or can be done twice.
    """
    work.release_lost(Submission, on_failed=services.publish)
    try:
        forgotten = events.forget_lost()
        if forgotten:
            logger.warning("Redis was emptied: telling %d recent outcomes again", forgotten)
        _tell_untold()
        work.enqueue_lost(Submission)
    except redis.RedisError as error:
        logger.warning("Redis is out of reach, the sweep goes on without: %s", error)


def _tell_untold() -> None:
    before = timezone.now() - _ON_ITS_WAY
    untold = Submission.objects.filter(event_id="", processed_at__lt=before)
    for submission in untold.order_by("processed_at")[:_BATCH]:
        if not services.publish(submission):
            break
