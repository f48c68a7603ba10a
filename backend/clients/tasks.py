"""The sweep's part for clients. Safe to run twice and concurrently."""

import logging
from typing import Final

from django.contrib.sessions.models import Session
from django.utils import timezone

from backend.clients import erasure, keys
from backend.common import redis_clients

logger = logging.getLogger(__name__)

_DAY_S: Final = 86_400


def sweep() -> None:
    """Publish outstanding revocations, continue erasures, once a day delete expired sessions."""
    keys.publish_revocations()
    erasure.run_step()
    # The first sweep that sets the key does it, and none for a day after that.
    if redis_clients.default().set("faces:sessions-cleared", "1", nx=True, ex=_DAY_S):
        clear_sessions()


def clear_sessions() -> None:
    """Delete expired sessions from the database."""
    gone, _ = Session.objects.filter(expire_date__lt=timezone.now()).delete()
    if gone:
        logger.info("deleted %d expired sessions", gone)
