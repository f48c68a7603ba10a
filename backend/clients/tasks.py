"""What the sweep does for clients. May run twice, and at several places at once."""

import logging

import redis

from backend.clients import erasure, services

logger = logging.getLogger(__name__)


def sweep() -> None:
    """Tell of revocations that could not be told when they were made; go on with erasures."""
    services.tell_revocations()
    try:
        erasure.carry_on()
    except redis.RedisError as error:
        logger.warning("an erasure goes on when Redis is back: %s", error)
