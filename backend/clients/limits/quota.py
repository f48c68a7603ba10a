"""How much of a client may be stored, and may wait, at a time. Kept in the database, exactly."""

from typing import Final

from django.db.models import F, Q
from rest_framework import exceptions

from backend.clients.models import Client
from backend.common.http.errors import Unavailable


class QuotaExceeded(exceptions.Throttled):
    """The client's images take all the room it was given."""

    default_detail = "The quota is used up: delete images, or wait until old ones are deleted."
    extra_detail_plural = extra_detail_singular = ""


class TooManyWaiting(exceptions.Throttled):
    default_detail = "Too many of your images are still waiting."
    extra_detail_plural = extra_detail_singular = ""


QUOTA_WAIT_S: Final = 3600
PENDING_WAIT_S: Final = 10
BEING_ERASED: Final = "All data of this client is being erased right now."


def reserve(client_id: int, size_bytes: int) -> None:
    """Count `size_bytes` as stored by the client; `QuotaExceeded` if they would be too many.

    Part of the transaction that stores: it locks the client's row, so that what is counted after
    it is exact, however many uploads come at once.
    """
    room = Q(quota_bytes=None) | Q(quota_bytes__gte=F("stored_bytes") + size_bytes)
    client = Client.objects.filter(pk=client_id, erasing_since=None)
    if client.filter(room).update(stored_bytes=F("stored_bytes") + size_bytes):
        return
    raise QuotaExceeded(wait=QUOTA_WAIT_S) if client.exists() else Unavailable(BEING_ERASED)


def release(client_id: int, size_bytes: int) -> None:
    """Count `size_bytes` of the client as gone."""
    stored = Client.objects.filter(pk=client_id, stored_bytes__gte=size_bytes)
    stored.update(stored_bytes=F("stored_bytes") - size_bytes)
