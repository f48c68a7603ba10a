"""Audit entries of erasures, and of what staff hides or shows outside of the admin."""

from typing import Any

from django.db.models import Model

from backend.clients import audit
from backend.clients.admin_site import actor


def note(request: Any, action: str, row: Model) -> None:
    """Record what the logged-in user of a page or API request does to a row.

    Staff by name, as in the admin; members by the id of their user alone.
    """
    kind = str(row._meta.verbose_name)
    user = request.user
    who = actor(request) if user.is_staff else f"user {user.pk}"
    audit.audit(who, f"{action} {kind}", f"{kind} {row.pk}")
