"""Everything of a client, erased from every store by one call.

The call is noted in the client's row and uploads are refused from then on; the sweep does the work,
and whatever stops it, the next sweep goes on.
"""

import logging
from collections.abc import Callable
from typing import Final

from django.conf import settings
from django.utils import timezone
from django.utils.module_loading import import_string

from backend.clients.keys import audit
from backend.clients.models import Client

logger = logging.getLogger(__name__)

_AT_A_TIME: Final = 200

Eraser = Callable[..., int]
"""`(owner_id, *, at_most)` erases up to so many of a client's things and returns how many."""


def request(client_id: int, *, actor: str) -> None:
    """From now on nothing new is taken for the client, and what is there goes."""
    asked = Client.objects.filter(pk=client_id, erasing_since=None)
    if asked.update(erasing_since=timezone.now()):
        audit(actor, "erase client's data", f"client {client_id}")


def run_step() -> None:
    """The sweep's step: erase what was asked for, a part at a time."""
    for client in Client.objects.filter(erasing_since__isnull=False):
        if not any(eraser(client.pk, at_most=_AT_A_TIME) for eraser in _erasers()):
            finish(client)


def finish(client: Client) -> None:
    Client.objects.filter(pk=client.pk).update(erasing_since=None, stored_bytes=0)
    audit("sweep", "erased client's data", f"client {client.pk}")


def erase_now(client_id: int, *, actor: str) -> None:
    """Erase all at once, for the command line. Raises `redis.RedisError` when Redis is away."""
    request(client_id, actor=actor)
    for eraser in _erasers():
        while eraser(client_id, at_most=_AT_A_TIME):
            pass
    finish(Client.objects.get(pk=client_id))


def _erasers() -> list[Eraser]:
    return [import_string(name) for name in settings.ERASERS]
