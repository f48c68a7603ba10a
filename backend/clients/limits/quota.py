"""Storage quota of a client, counted exactly in the database."""

from typing import Final

from django.db import connection
from django.db.models import F
from rest_framework import exceptions

from backend.clients.models import Client
from backend.common.http.errors import Unavailable


class QuotaExceeded(exceptions.Throttled):
    default_detail = "The quota is used up: delete images, or wait until old ones are deleted."
    extra_detail_plural = extra_detail_singular = ""


class TooManyWaiting(exceptions.Throttled):
    default_detail = "Too many of your images are still waiting."
    extra_detail_plural = extra_detail_singular = ""


QUOTA_WAIT_S: Final = 3600
PENDING_WAIT_S: Final = 10
BEING_ERASED: Final = "All data of this client is being erased right now."


# Of every upload: written out, as Django's ORM takes ten times as long to compile it as it runs.
_RESERVE: Final = """
UPDATE clients_client SET stored_bytes = stored_bytes + %s
WHERE id = %s AND erasing_since IS NULL
  AND (quota_bytes IS NULL OR quota_bytes >= stored_bytes + %s)
"""


def reserve(client_id: int, size_bytes: int) -> None:
    """Add `size_bytes` to the client's stored bytes; `QuotaExceeded` if they exceed the quota.

    Called in the transaction that stores: it locks the client's row, so that later counts in the
    transaction are exact, however many uploads are concurrent.
    """
    with connection.cursor() as cursor:
        cursor.execute(_RESERVE, [size_bytes, client_id, size_bytes])
        if cursor.rowcount:
            return
    client = Client.objects.filter(pk=client_id, erasing_since=None)
    raise QuotaExceeded(wait=QUOTA_WAIT_S) if client.exists() else Unavailable(BEING_ERASED)


def release(client_id: int, size_bytes: int) -> None:
    """Subtract `size_bytes` from the client's stored bytes."""
    stored = Client.objects.filter(pk=client_id, stored_bytes__gte=size_bytes)
    stored.update(stored_bytes=F("stored_bytes") - size_bytes)
