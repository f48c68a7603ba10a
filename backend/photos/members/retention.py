"""Data minimisation: erases references that are no longer needed."""

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
"""For a reference that its member deleted, so that misuse can be investigated."""

KEPT_WITHOUT_LOGIN: Final = timedelta(days=365)
"""For all references of a member who no longer logs in."""

_AT_A_TIME: Final = 200

_EVERY_S: Final = 3600.0


class _Last:
    run_s = -_EVERY_S
    """On this process's monotonic clock."""


def due() -> QuerySet[Reference]:
    """The references to erase. A member who never logged in counts from the day they joined."""
    now = timezone.now()
    long_ago = now - KEPT_WITHOUT_LOGIN
    marked = Q(marked_for_deletion_at__lte=now - KEPT_AFTER_MARK)
    gone = Q(member__user__last_login__lte=long_ago)
    never_came = Q(member__user__last_login=None, member__user__date_joined__lte=long_ago)
    return Reference.objects.filter(marked | gone | never_came).order_by("pk")


def erase_due() -> Iterator[Reference]:
    """Erase what is due, and yield each reference. Safe to run twice and concurrently."""
    last_pk = 0
    while batch := list(due().filter(pk__gt=last_pk)[:_AT_A_TIME]):
        for reference in batch:
            storage.erase(reference)
            yield reference
        last_pk = batch[-1].pk


def sweep() -> None:
    """Erase once an hour, for installations that do not run the command."""
    if time.monotonic() - _Last.run_s < _EVERY_S:
        return
    _Last.run_s = time.monotonic()
    if erased := sum(1 for _ in erase_due()):
        logger.info("data minimisation erased %d references", erased)
