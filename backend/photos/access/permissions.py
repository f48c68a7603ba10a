"""What staff may do, by Django's permissions, which the admin grants."""

from __future__ import annotations

from typing import Any


def has_permission(user: Any, permission: str) -> bool:
    """Whether the user is staff with this permission of the app, such as `change_album`."""
    if user is None or not (user.is_active and user.is_staff):
        return False
    return bool(user.has_perm(f"photos.{permission}"))


def can_view_hidden(user: Any) -> bool:
    """See hidden albums and photos."""
    return has_permission(user, "view_photo")


def can_manage_albums(user: Any) -> bool:
    """Make albums, upload into them, hide them and their photos."""
    return all(has_permission(user, each) for each in ("add_album", "change_album", "add_photo"))


def can_manage_people(user: Any) -> bool:
    """Name, merge and split groups of unknown people, and tag members on photos."""
    return has_permission(user, "change_person")
