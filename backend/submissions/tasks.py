"""Jobs of submissions, and the sweep. They take ids and may run twice."""

from backend.submissions import events, services


def process(id: str) -> None:
    """Find the faces of one submission and publish the outcome."""
    services.process(id)


def sweep() -> None:
    """Publish the outcomes that are not in the stream, because a worker or Redis lost them."""
    events.sweep(services.publish)
