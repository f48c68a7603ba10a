"""What the sweep does for clients. May run twice, and at several places at once."""

import logging
from typing import Final

import redis
from django.contrib.sessions.models import Session
from django.utils import timezone

from backend.clients import erasure, keys
from backend.common import redis_clients

logger = logging.getLogger(__name__)

_DAY_S: Final = 86_400


def sweep() -> None:
    """Tell of revocations that could not be told when they were made; go on with erasures.

    Once a day, clear the sessions of the admin that have ended.
    """
    keys.publish_revocations()
    try:
        erasure.run_step()
        # Whoever leaves the note first does it: one sweep of many, and not again for a day.
        if redis_clients.short().set("faces:sessions-cleared", "1", nx=True, ex=_DAY_S):
            clear_sessions()
    except redis.RedisError as error:
        logger.warning("an erasure goes on when Redis is back: %s", error)


def clear_sessions() -> None:
    """Take the sessions of the admin that have ended out of the database."""
    gone, _ = Session.objects.filter(expire_date__lt=timezone.now()).delete()
    if gone:
        logger.info("cleared %d ended sessions", gone)
