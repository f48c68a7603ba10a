"""Retention: submissions past their age, and files without a submission."""

import uuid
from collections.abc import Iterator
from datetime import timedelta
from itertools import islice
from pathlib import PurePosixPath
from typing import Final

from django.core.files.storage import Storage, default_storage
from django.db.models import QuerySet
from django.utils import timezone

from backend.common.jobs.models import Status
from backend.common.storage import orphans
from backend.submissions.models import Submission

_FOLDERS: Final = ("originals", "processed_faces")


def older_than(days: int) -> QuerySet[Submission]:
    """Submissions made more than `days` days ago that no worker has in hand, the oldest first."""
    before = timezone.now() - timedelta(days=days)
    old = Submission.objects.filter(created_at__lt=before).exclude(status=Status.PROCESSING)
    return old.order_by("created_at")


def stray_files(storage: Storage = default_storage) -> Iterator[str]:
    """Names of stored files whose submission does not exist: left by a crash between two steps."""
    files = orphans.older_than_a_day(storage, _FOLDERS)
    while names := list(islice(files, 500)):
        owners = {name: _owner(name) for name in names}
        known = set(
            Submission.objects.filter(pk__in=[id for id in owners.values() if id]).values_list(
                "pk", flat=True
            )
        )
        yield from (name for name, id in owners.items() if id not in known)


def _owner(name: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(PurePosixPath(name).stem)
    except ValueError:
        return None
