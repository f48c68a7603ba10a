"""Clients and keys: made, rotated, revoked; and the note of it."""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

import redis
from django.db import transaction
from django.utils import timezone

from backend.clients.models import ApiKey, AuditEntry, Client, check_scopes
from backend.common import redis_clients
from wire import feeds

logger = logging.getLogger(__name__)


def audit(actor: str, action: str, subject: str) -> None:
    """Note what was done; ids and names of keys and clients only, no personal data."""
    AuditEntry.objects.create(actor=actor[:100], action=action[:50], subject=subject[:200])
    logger.info("audit actor=%s action=%s subject=%s", actor, action, subject)


def create_key(
    client: Client,
    *,
    name: str,
    scopes: Sequence[str],
    actor: str,
    expires_at: datetime | None = None,
) -> tuple[ApiKey, str]:
    """A new key and its text, which cannot be had again. `ValidationError` for unknown scopes."""
    check_scopes(list(scopes))
    with transaction.atomic():
        made, text = ApiKey.objects.create_key(
            client=client, name=name[:50], scopes=list(scopes), expiry_date=expires_at
        )
        assert isinstance(made, ApiKey)
        audit(actor, "create key", f"{made.prefix} of {client.name}")
    return made, text


def rotate_key(old: ApiKey, *, overlap: timedelta, actor: str) -> tuple[ApiKey, str]:
    """A new key like `old`, which goes on for `overlap` so that nobody is locked out meanwhile."""
    ends_at = timezone.now() + overlap
    with transaction.atomic():
        made, text = create_key(
            old.client, name=old.name, scopes=old.scopes, actor=actor, expires_at=None
        )
        if old.expiry_date is None or old.expiry_date > ends_at:
            ApiKey.objects.filter(pk=old.pk).update(expiry_date=ends_at)
        audit(actor, "rotate key", f"{old.prefix} to {made.prefix} of {old.client.name}")
    return made, text


def revoke_key(key: ApiKey, *, actor: str) -> None:
    """From now on the key opens nothing, and who listens by it is dropped."""
    with transaction.atomic():
        if not ApiKey.objects.filter(pk=key.pk, revoked=False).update(revoked=True):
            return
        audit(actor, "revoke key", f"{key.prefix} of {key.client.name}")
    publish_revocations()


def publish_revocations() -> None:
    """Tell the websocket servers of each revoked key that they were not told of."""
    for key in ApiKey.objects.filter(revoked=True, revocation_told=False):
        try:
            publish_revocation(key.prefix)
        except redis.RedisError as error:
            logger.warning("listeners of key %s are dropped later: %s", key.prefix, error)
            return
        ApiKey.objects.filter(pk=key.pk).update(revocation_told=True)


def publish_revocation(prefix: str) -> None:
    """For those who connect later a key in Redis, for those who listen an entry in the stream."""
    client = redis_clients.short()
    client.set(feeds.REVOKED_KEY.format(key_prefix=prefix), "1", ex=feeds.TOKEN_LIFETIME_S)
    entry: dict[str, str] = {feeds.REVOKED_FIELD: prefix}
    client.xadd(feeds.STREAM, entry)  # type: ignore[arg-type]  # a dict is invariant in its keys
