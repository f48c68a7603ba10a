"""API keys: create, rotate, revoke."""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

import redis
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from backend.clients.audit import audit
from backend.clients.models import ApiKey, Client, check_scopes
from backend.common import event_stream, redis_clients
from wire import feeds

logger = logging.getLogger(__name__)


def create_key(
    client: Client,
    *,
    name: str,
    scopes: Sequence[str],
    actor: str,
    expires_at: datetime | None = None,
) -> tuple[ApiKey, str]:
    """The new key's row and text; only a hash is stored. `ValidationError` for unknown scopes."""
    check_scopes(list(scopes))
    with transaction.atomic():
        made, text = ApiKey.objects.create_key(
            client=client, name=name[:50], scopes=list(scopes), expiry_date=expires_at
        )
        assert isinstance(made, ApiKey)
        audit(actor, "create key", f"{made.prefix} of {client.name}")
    return made, text


def rotate_key(old: ApiKey, *, overlap: timedelta, actor: str) -> tuple[ApiKey, str]:
    """A new key like `old`; both are valid for `overlap`, so that clients can change over."""
    ends_at = timezone.now() + overlap
    with transaction.atomic():
        made, text = create_key(old.client, name=old.name, scopes=old.scopes, actor=actor)
        if old.expiry_date is None or old.expiry_date > ends_at:
            ApiKey.objects.filter(pk=old.pk).update(expiry_date=ends_at)
        audit(actor, "rotate key", f"{old.prefix} to {made.prefix} of {old.client.name}")
    publish_revocations()  # of `old`, if it ends at once
    return made, text


def revoke_key(key: ApiKey, *, actor: str) -> None:
    """Invalidate the key at once and disconnect the feeds that were opened with it."""
    with transaction.atomic():
        if not ApiKey.objects.filter(pk=key.pk, revoked=False).update(revoked=True):
            return
        audit(actor, "revoke key", f"{key.prefix} of {key.client.name}")
    publish_revocations()


def publish_revocations() -> None:
    """Publish to the websocket servers every key that ended, if that is not published yet.

    A key ends when it is revoked or expires; its expiry may have been moved after a token was made.
    """
    try:
        event_stream.mark_lost("revocations", _mark)
        for key in _ended().filter(revocation_published=False):
            publish_revocation(key.prefix)
            ApiKey.objects.filter(pk=key.pk).update(revocation_published=True)
    except redis.RedisError as error:
        logger.warning("the ends of keys are published later: %s", error)


def _mark() -> int:
    """Mark every end as unpublished: tokens of the last hour still live."""
    return _ended().update(revocation_published=False)


def _ended() -> QuerySet[ApiKey]:
    return ApiKey.objects.filter(Q(revoked=True) | Q(expiry_date__lte=timezone.now()))


def publish_revocation(prefix: str) -> None:
    """A Redis key refuses new connections; an entry of the stream ends open ones."""
    client = redis_clients.default()
    client.set(feeds.REVOKED_KEY.format(key_prefix=prefix), "1", ex=feeds.TOKEN_LIFETIME_S)
    entry: dict[str, str] = {feeds.REVOKED_FIELD: prefix}
    client.xadd(feeds.STREAM, entry)  # type: ignore[arg-type]  # a dict is invariant in its keys
