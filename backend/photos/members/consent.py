"""Who takes part: a user opts in with their first reference, and out whenever they want to."""

from __future__ import annotations

import logging

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import transaction
from django.utils import timezone

from backend.photos.files import storage
from backend.photos.matching import jobs
from backend.photos.models import Member, Reference, lock_for_deletion

logger = logging.getLogger(__name__)


def member_of(user: AbstractBaseUser | AnonymousUser) -> Member:
    """What this app knows of a user who is logged in; made when it is first asked for."""
    assert user.pk is not None
    member, _ = Member.objects.get_or_create(user_id=user.pk)
    return member


def opt_in(member: Member) -> None:
    """They take part from now on; what uploading a first reference does too."""
    if Member.objects.filter(pk=member.pk, opted_in_at=None).update(opted_in_at=timezone.now()):
        logger.info("opted in member=%s", member.pk)
    member.refresh_from_db()


def opt_out(member: Member) -> None:
    """Erase at once all that says what the member looks like or where they are.

    Also what a worker has in hand: it finds no row for what it made, and deletes that.
    """
    files = list(Reference.objects.filter(member=member))
    for reference in files:
        storage.delete_files(reference)
    with transaction.atomic():
        locked = Member.objects.select_for_update().get(pk=member.pk)
        references = list(Reference.objects.filter(member=locked))
        lock_for_deletion(Reference.objects.filter(member=locked))
        jobs.delete_matches_of(locked)
        Reference.objects.filter(member=locked).delete()
        Member.objects.filter(pk=locked.pk).update(opted_in_at=None, opted_out_at=timezone.now())
    for reference in {*files, *references}:
        storage.delete_files(reference)
    logger.info("opted out member=%s", member.pk)
    member.refresh_from_db()
