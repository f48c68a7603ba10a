"""The lock of a gallery, and its version."""

from __future__ import annotations

from backend.recognition.models import User


def lock(user_pk: int) -> User:
    """The user's row, locked until the transaction ends: nothing else changes the gallery.

    Raises `User.DoesNotExist`.
    """
    return User.objects.select_for_update().get(pk=user_pk)


def bump_version(user: User) -> None:
    """Save a changed gallery's user, who is locked: caches of the gallery become stale."""
    user.gallery_version += 1
    user.save(update_fields=["gallery_version", "exists"])
