"""Consent: a user opts in with the first reference, and can opt out at any time."""

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
    """The member of a logged-in user; created on first use."""
    assert user.pk is not None
    member, _ = Member.objects.get_or_create(user_id=user.pk)
    return member


def opt_in(member: Member) -> None:
    """Record consent, as the first reference does too."""
    if Member.objects.filter(pk=member.pk, opted_in_at=None).update(opted_in_at=timezone.now()):
        logger.info("opted in member=%s", member.pk)
    member.refresh_from_db()


def opt_out(member: Member) -> None:
    """Erase at once everything that shows the member's face or the photos they are on.

    A worker that is processing a reference finds no row for its results, and deletes its files.
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
