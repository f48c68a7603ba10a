"""What of staff may do what: by Django's permissions, which the admin gives."""

from __future__ import annotations

from typing import Any


def may(user: Any, permission: str) -> bool:
    """Whether the user is staff with this permission of the app, as `change_album`."""
    if user is None or not (user.is_active and user.is_staff):
        return False
    return bool(user.has_perm(f"photos.{permission}"))


def sees_all(user: Any) -> bool:
    """Also hidden albums and photos."""
    return may(user, "view_photo")


def keeps_albums(user: Any) -> bool:
    """Makes albums, uploads into them, hides what is in them."""
    return all(may(user, each) for each in ("add_album", "change_album", "add_photo"))


def keeps_people(user: Any) -> bool:
    """Names, merges and splits groups of unknown people, and says who is on a photo."""
    return may(user, "change_person")
