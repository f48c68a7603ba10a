"""The producer of the event stream: each outcome is appended once, again if Redis lost it.

Redis keeps for a day which entry belongs to which subject. A process that dies between appending an
entry and writing its id to the row finds the entry again.
"""

import logging
import uuid
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final, Generic, TypeVar

import redis
from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from backend.common import redis_clients
from backend.common.jobs import statements
from backend.common.jobs.models import Job
from wire import events as wire

logger = logging.getLogger(__name__)

J = TypeVar("J", bound=Job)

_REMEMBERED_S: Final = 86_400

_BATCH: Final = 1000

_REPUBLISHED: Final = timedelta(hours=1)
"""The age up to which outcomes are published again after Redis was emptied."""

_ON_ITS_WAY: Final = timedelta(seconds=3)
"""A worker has probably just ended a row this young, and is about to publish its event."""

_MARKER: Final = "faces:{name}-kept"
"""A key that holds `_KEPT` as long as Redis lost nothing."""

_KEPT: Final = "1"

# Redis may be emptied again while the rows are marked: then the next sweep marks them again.
_CONFIRM_MARKER: Final = """
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('SET', KEYS[1], ARGV[2]) end
"""

# One step: a worker that died between the two would publish twice.
_APPEND: Final = """
local known = redis.pcall('GET', KEYS[2])
if type(known) == 'string' and known:find('^%d+%-%d+$') and #known <= 41 then return known end
local id = redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', unpack(ARGV, 3))
redis.call('SET', KEYS[2], id, 'EX', ARGV[2])
return id
"""


class Outbox(Generic[J]):
    """The events of the ended rows of one model that meet `only`.

    A row has an `owner_id`, and stores the id of its event in `event_id`: the sweep publishes those
    of ended rows without one. After Redis was emptied it publishes those of the last hour again;
    the websocket servers drop the repeats. `name` is that of the marker in Redis.
    """

    def __init__(self, model: type[J], *, name: str, only: Q | None = None) -> None:
        self._model = model
        self._name = name
        self._only = only or Q()

    def publish(self, row: J, fields: Mapping[str, str]) -> bool:
        """Append the event of a row, if it is not there yet; False if the sweep has to retry it."""
        try:
            event_id = append(fields, **_of(row))
            if not statements.change(self._model, {"id": row.pk}, {"event_id": event_id}):
                # The row was deleted just now, before its event could be seen there.
                _erase_late(row, event_id)
            elif not is_kept(**_of(row)):
                # Redis was emptied in between. The sweep may have marked the lost ones before the
                # update, so it would not see this row.
                unseen = self._model._default_manager.filter(pk=row.pk, event_id=event_id)
                unseen.update(event_id="")
                return False
        except redis.RedisError as error:
            logger.warning("event has to wait %s=%s: %s", row.kind, row.pk, error)
            return False
        logger.info("event %s=%s event=%s", row.kind, row.pk, event_id)
        return True

    def erase(self, row: J) -> None:
        """Delete the event of a row from Redis. Raises `redis.RedisError`."""
        erase(getattr(row, "event_id"), **_of(row))  # noqa: B009  # a column of the subclasses

    def sweep(self, publish: Callable[[J], bool]) -> None:
        """Publish the events that are not in the stream, because a worker or Redis lost them.

        Raises `redis.RedisError`.
        """
        if lost := mark_lost(self._name, self._mark):
            logger.warning("Redis was emptied: publishing %d recent %s again", lost, self._name)
        before = timezone.now() - _ON_ITS_WAY
        ended = self._model._default_manager.filter(self._only, processed_at__lt=before)
        for row in ended.filter(event_id="").order_by("processed_at")[:_BATCH]:
            if not publish(row):
                break

    def _mark(self) -> int:
        rows, since = self._model._default_manager, timezone.now() - _REPUBLISHED
        recent = rows.filter(self._only, processed_at__gt=since).exclude(event_id="")
        newest = recent.order_by("-processed_at").values_list("pk", flat=True)
        lost = list(newest[: settings.FACES_EVENT_STREAM_MAXLEN])
        return rows.filter(pk__in=lost).update(event_id="")


def mark_lost(name: str, mark: Callable[[], int]) -> int:
    """`mark` as unpublished what Redis lost, if it was emptied; returns how many rows were marked.

    Raises `redis.RedisError`.
    """
    client, marker = redis_clients.default(), _MARKER.format(name=name)
    if client.get(marker) == _KEPT:
        return 0
    token = uuid.uuid4().hex
    client.set(marker, token)
    count = mark()
    client.eval(_CONFIRM_MARKER, 1, marker, token, _KEPT)
    return count


def append(fields: Mapping[str, str], *, owner: object, subject: object) -> str:
    """The id of the event of `subject`, appended with these `fields` if there is none yet.

    Raises `redis.RedisError`.
    """
    pairs = [text for pair in fields.items() for text in pair]
    keys = [wire.STREAM, _key(owner, subject)]
    arguments: list[str | int] = [settings.FACES_EVENT_STREAM_MAXLEN, _REMEMBERED_S, *pairs]
    return str(redis_clients.default().eval(_APPEND, len(keys), *keys, *arguments))


def is_kept(*, owner: object, subject: object) -> bool:
    """Whether Redis still knows the event of `subject`. Raises `redis.RedisError`."""
    return bool(redis_clients.default().exists(_key(owner, subject)))


def erase(event_id: str, *, owner: object, subject: object) -> None:
    """Delete an event; `event_id` may be empty. Raises `redis.RedisError`."""
    client = redis_clients.default()
    if known := event_id or _known_id(_key(owner, subject)):
        client.xdel(wire.STREAM, known)
    client.delete(_key(owner, subject))


def _erase_late(row: Job, event_id: str) -> None:
    try:
        erase(event_id, **_of(row))
    except redis.RedisError as error:
        logger.error("a deleted row's event stays %s=%s: %s", row.kind, row.pk, error)


def _of(row: Job) -> dict[str, Any]:
    return {"owner": getattr(row, "owner_id"), "subject": row.pk}  # noqa: B009  # as above


def _known_id(key: str) -> str:
    """The id at `key`; empty if there is none, or another thing than the id of an event."""
    try:
        known: Any = redis_clients.default().get(key)
        return wire.format_event_id(wire.parse_event_id(known or ""))
    except (ValueError, redis.ResponseError):  # no id; the key of another type
        return ""


def _key(owner: object, subject: object) -> str:
    return wire.EVENT_OF_SUBMISSION.format(owner=owner, submission_id=subject)
