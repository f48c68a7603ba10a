"""Row locks of photos, faces and references."""

from typing import Any

from django.db.models import QuerySet


def lock_for_deletion(rows: QuerySet[Any]) -> None:
    """Lock photos, faces or references before they are deleted, within the same transaction.

    Until its end no worker inserts a match of one of them. Without the lock PostgreSQL refuses the
    deletion if a match is inserted between Django's look for dependent rows and the deletion.
    """
    list(rows.order_by("pk").select_for_update().values_list("pk"))
