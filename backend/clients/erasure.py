"""Erasure of all data of a client, from every store.

A request marks the client's row, and uploads are refused from then on. The sweep erases step by
step; if it is interrupted, the next sweep continues.
"""

import logging
from collections.abc import Callable
from typing import Final

from django.conf import settings
from django.utils import timezone
from django.utils.module_loading import import_string

from backend.clients.audit import audit
from backend.clients.models import Client

logger = logging.getLogger(__name__)

_BATCH: Final = 200

Eraser = Callable[..., int]
"""`(owner_id, *, at_most)` erases up to `at_most` objects of a client and returns their number."""


def request(client_id: int, *, actor: str) -> None:
    """Refuse the client's uploads from now on, and have the sweep erase its data."""
    client = Client.objects.filter(pk=client_id, erasing_since=None)
    if client.update(erasing_since=timezone.now()):
        audit(actor, "erase client's data", f"client {client_id}")


def run_step() -> None:
    """The sweep's step: erase a part of each client that requested it."""
    for client in Client.objects.filter(erasing_since__isnull=False):
        if not any(eraser(client.pk, at_most=_BATCH) for eraser in _erasers()):
            _finish(client)


def _finish(client: Client) -> None:
    Client.objects.filter(pk=client.pk).update(erasing_since=None, stored_bytes=0)
    audit("sweep", "erased client's data", f"client {client.pk}")


def erase_now(client_id: int, *, actor: str) -> None:
    """Erase everything before returning. Raises `redis.RedisError` when Redis is out of reach."""
    request(client_id, actor=actor)
    for eraser in _erasers():
        while eraser(client_id, at_most=_BATCH):
            pass
    _finish(Client.objects.get(pk=client_id))


def _erasers() -> list[Eraser]:
    return [import_string(name) for name in settings.ERASERS]
