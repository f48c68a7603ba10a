"""What workers do with submissions. Tasks take ids and may run twice."""

import logging
from datetime import timedelta
from typing import Final

import redis
from django.db.models import Q
from django.utils import timezone

from backend.common import processes, queues
from backend.submissions import events, services
from backend.submissions.models import Status, Submission

logger = logging.getLogger(__name__)

_BATCH: Final = 1000

_ON_ITS_WAY: Final = timedelta(seconds=3)
"""A row this young has probably just been enqueued, or a worker is about to tell its outcome."""


def process(id: str) -> None:
    """Find the faces of one submission and tell the listeners."""
    services.process(id)


def sweep() -> None:
    """Find lost and stale work: the database is the truth, the queue and the stream are hints.

    Any number of sweeps may run at once, and any may be killed: every step is a conditional update
    or can be done twice.
    """
    _release_stale()
    try:
        forgotten = events.forget_lost()
        if forgotten:
            logger.warning("Redis was emptied: telling %d recent outcomes again", forgotten)
        _tell_untold()
        _enqueue_lost()
    except redis.RedisError as error:
        logger.warning("Redis is out of reach, the sweep goes on without: %s", error)


def _release_stale() -> None:
    now = timezone.now()
    for submission in Submission.objects.filter(status=Status.PROCESSING)[:_BATCH]:
        expired = submission.claimed_until is None or submission.claimed_until < now
        if expired or processes.is_gone(submission.claimed_by):
            services.release(submission)


def _tell_untold() -> None:
    before = timezone.now() - _ON_ITS_WAY
    untold = Submission.objects.filter(event_id="", processed_at__lt=before)
    for submission in untold.order_by("processed_at")[:_BATCH]:
        if not services.publish(submission):
            break


def _enqueue_lost() -> None:
    now = timezone.now()
    # A retry was never enqueued before it was due; a new row was, unless Redis was not there.
    overdue = Q(attempts__gt=0) | Q(created_at__lt=now - _ON_ITS_WAY)
    due = Submission.objects.filter(overdue, status=Status.QUEUED, due_at__lte=now)
    ids = list(due.order_by("due_at").values_list("pk", flat=True)[:_BATCH])
    if not ids:
        return
    waiting = queues.waiting(queues.UPLOADS)
    for id in ids:
        if str(id) not in waiting and not services.enqueue(id):
            break
