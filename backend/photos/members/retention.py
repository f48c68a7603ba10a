"""Data minimisation: what is not needed any more goes by itself."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from django.db.models import Q, QuerySet
from django.utils import timezone

from backend.photos.files import storage
from backend.photos.models import Reference

logger = logging.getLogger(__name__)

KEPT_AFTER_MARK: Final = timedelta(days=180)
"""A reference that its member deleted: so long it can be told whose photos were looked for."""

KEPT_WITHOUT_LOGIN: Final = timedelta(days=365)
"""Any reference of somebody who does not come any more."""

_AT_A_TIME: Final = 200

_EVERY_S: Final = 3600.0


class _Last:
    run_s = -_EVERY_S
    """On the clock of this process."""


def due() -> QuerySet[Reference]:
    """The references whose time has passed. Who never logged in counts from their first day."""
    now = timezone.now()
    long_ago = now - KEPT_WITHOUT_LOGIN
    marked = Q(marked_for_deletion_at__lte=now - KEPT_AFTER_MARK)
    gone = Q(member__user__last_login__lte=long_ago)
    never_came = Q(member__user__last_login=None, member__user__date_joined__lte=long_ago)
    return Reference.objects.filter(marked | gone | never_came).order_by("pk")


def erase_due() -> Iterator[Reference]:
    """Erase what is due, and give each that was. Safe to run twice, and at once."""
    last_pk = 0
    while batch := list(due().filter(pk__gt=last_pk)[:_AT_A_TIME]):
        for reference in batch:
            storage.erase(reference)
            yield reference
        last_pk = batch[-1].pk


def sweep() -> None:
    """Once an hour: an installation whose command nobody runs keeps its promise all the same."""
    if time.monotonic() - _Last.run_s < _EVERY_S:
        return
    _Last.run_s = time.monotonic()
    if erased := sum(1 for _ in erase_due()):
        logger.info("data minimisation erased %d references", erased)
