"""Deletion of analyses that no row refers to, and of files without an analysis."""

from collections.abc import Collection, Iterator
from datetime import timedelta
from itertools import islice
from typing import Final

from django.core.files.storage import Storage, default_storage
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from backend.analysis.models import Analysis, Face
from backend.common.jobs.models import Status
from backend.common.storage import orphans

_KEPT_UNREFERENCED: Final = timedelta(hours=1)
"""A new analysis may not be referred to yet: its submission is updated just after it."""

_AT_A_TIME: Final = 200
"""Rows of one transaction: all others wait as long as it takes."""

_SOURCES: Final = "waiting"
"""The folder of `models.source_path`."""

_ENDED: Final = Q(status__in=[Status.DONE, Status.FAILED])


def release(analysis_id: int | None) -> None:
    """Delete an ended analysis if no row refers to it any more.

    A worker that refers to it just then fails on its foreign key and tries again.
    """
    if analysis_id is not None:
        _delete_unreferenced([analysis_id], _ENDED, min_age=timedelta(0))


def withdraw(analysis_id: int | None) -> None:
    """`release`, also of one that has not ended: its bytes are deleted and its result dropped."""
    if analysis_id is not None:
        _delete_unreferenced([analysis_id], _ENDED | ~Q(source=""), min_age=timedelta(0))


def delete_unreferenced() -> int:
    """Delete what `unreferenced` lists, with its bytes; returns how many."""
    count = 0
    while ids := list(unreferenced().values_list("pk", flat=True)[:_AT_A_TIME]):
        count += _delete_unreferenced(ids, Q(), min_age=_KEPT_UNREFERENCED)
    return count


def unreferenced(*, min_age: timedelta = _KEPT_UNREFERENCED) -> QuerySet[Analysis]:
    """The analyses older than `min_age` that no other app's row refers to."""
    analyses = Analysis.objects.filter(created_at__lte=timezone.now() - min_age)
    for relation in Analysis._meta.related_objects:
        if relation.related_model is not Face:
            rows = relation.related_model._default_manager
            analyses = analyses.exclude(
                Exists(rows.filter(**{relation.field.name: OuterRef("pk")}))
            )
    return analyses


def delete_as_seen(rows: QuerySet[Analysis]) -> bool:
    """Delete `rows`, if they still are what the query asks for; whether there was one.

    Django first asks which rows go and then deletes them by their keys, whatever they have become.
    """
    with transaction.atomic():
        keys = list(rows.select_for_update().values_list("pk", flat=True))
        return bool(Analysis.objects.filter(pk__in=keys).delete()[0])


def stray_sources(storage: Storage = default_storage) -> Iterator[str]:
    """Names of stored bytes whose analysis has ended or is gone: left by a crash in between."""
    files = orphans.older_than_a_day(storage, [_SOURCES])
    while names := list(islice(files, 500)):
        wanted = set(Analysis.objects.filter(source__in=names).values_list("source", flat=True))
        yield from (name for name in names if name not in wanted)


def _delete_unreferenced(ids: Collection[int], which: Q, *, min_age: timedelta) -> int:
    with transaction.atomic():
        # Locked before the references are read: a row that came to refer to one in between would
        # lose it, and with it its faces.
        list(Analysis.objects.select_for_update().filter(pk__in=ids).order_by("pk"))
        rows = list(unreferenced(min_age=min_age).filter(which, pk__in=ids))
        Analysis.objects.filter(pk__in=[row.pk for row in rows]).delete()
    for row in rows:
        if row.source.name:
            row.source.storage.delete(row.source.name)
    return len(rows)
