"""What the sweep does for clients. May run twice, and at several places at once."""

from backend.clients import services


def sweep() -> None:
    """Tell of revocations that could not be told when they were made."""
    services.tell_revocations()
