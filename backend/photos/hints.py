"""Telling open pages that there is something new, over the feed of events.

A hint says of whom, and nothing else: the page then asks the service, which knows who may see what.
Hints go only where a page asked lately, and once a second at most: the stream is others' too.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Collection, Iterable
from typing import Any, Final

import redis
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from backend.clients import feeds
from backend.common import connections
from wire import events
from wire import feeds as wire

logger = logging.getLogger(__name__)

_WATCHED: Final = "faces:photos:watched:{owner}"
_TOLD: Final = "faces:photos:told:{owner}"
_WATCHED_S: Final = 150
"""A page asks for its status every minute as long as it is open."""
_ONCE_IN_MS: Final = 1000


def of_member(member_id: int) -> str:
    """The owner of a member's hints."""
    return wire.MEMBER_OWNER.format(id=member_id)


def watch(owner: str) -> str:
    """The address at which a page hears of `owner`'s hints, by a token that ends soon."""
    try:
        connections.hasty().set(_WATCHED.format(owner=owner), 1, ex=_WATCHED_S)
    except redis.RedisError as error:
        logger.warning("no hints for now, Redis is out of reach: %s", error)
    token = feeds.token_for(owner, key_prefix=wire.SESSION_KEY)
    return f"/faces?outcomes={events.Outcome.PHOTOS}&token={token}"


def members_changed(member_ids: Iterable[int]) -> None:
    """Their photos or references changed; told when the transaction is through."""
    owners = {of_member(id) for id in member_ids}
    if owners:
        transaction.on_commit(lambda: _tell(owners))


def albums_changed() -> None:
    """An album came further; as `members_changed`, for staff."""
    transaction.on_commit(lambda: _tell([wire.ALBUMS_OWNER]))


def _tell(owners: Collection[str]) -> None:
    try:
        client = connections.hasty()
        for owner in owners:
            if client.exists(_WATCHED.format(owner=owner)) and client.set(
                _TOLD.format(owner=owner), 1, nx=True, px=_ONCE_IN_MS
            ):
                hint = events.photos_to_entry(str(uuid.uuid4()), timezone.now(), owner=owner)
                fields: dict[Any, Any] = {**hint}
                kept = settings.FACES_EVENTS_KEPT
                client.xadd(events.STREAM, fields, maxlen=kept, approximate=True)
    except redis.RedisError as error:
        logger.warning("open pages have to ask themselves: %s", error)
