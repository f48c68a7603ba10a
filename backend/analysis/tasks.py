"""Jobs of requested analyses. They take ids and may run twice."""

import logging

from backend.analysis import services

logger = logging.getLogger(__name__)


def compute(id: str) -> None:
    """Find the faces of the bytes that were stored with the request."""
    services.compute(id)


def compute_many(ids: str) -> None:
    """`compute` for several, their ids separated by commas, in one job."""
    services.compute_many(ids.split(","))
