"""Jobs of submissions, and the sweep. They take ids and may run twice."""

from backend.submissions import corrections, events, services


def process(id: str) -> None:
    """Find the faces of one submission and publish the outcome."""
    services.process(id)


def correct(id: str) -> None:
    """Look at the faces that were drawn on one image by hand, and draw its pictures anew."""
    corrections.process(id)


def sweep() -> None:
    """Publish the outcomes that are not in the stream, because a worker or Redis lost them."""
    corrections.delete_old()
    events.sweep(services.publish)
