"""Requests to URLs that a client gave: `safe_http`, limited by the settings."""

from django.conf import settings

from safe_http import Client, Download, FetchError, GivenUp, Hold, Policy

__all__ = ["Download", "FetchError", "GivenUp", "Hold", "client"]


def client() -> Client:
    """The client with today's settings."""
    return Client(
        max_bytes=settings.FACES_DOWNLOAD_MAX_BYTES,
        timeout_s=settings.FACES_DOWNLOAD_TIMEOUT_S,
        policy=Policy(private_hosts=settings.FACES_DOWNLOAD_ALLOWED_HOSTS),
    )
