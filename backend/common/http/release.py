"""The version at the foot of every page."""

from django.http import HttpRequest

from wire.release import VERSION


def context(request: HttpRequest) -> dict[str, str]:
    """A context processor: `release`."""
    return {"release": VERSION}
