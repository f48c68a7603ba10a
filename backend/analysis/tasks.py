"""Jobs of requested analyses. They take ids and may run twice."""

import logging

from backend.analysis import services

logger = logging.getLogger(__name__)


def compute(id: str) -> None:
    """Find the faces of the stored bytes of one request, the one whose owner's turn it is."""
    services.compute_next()


def compute_many(ids: str) -> None:
    """`compute` for as many as these ids, separated by commas, in one job."""
    services.compute_next_many(len(ids.split(",")))
