"""Publication of outcomes to the Redis stream: once for each submission, again if Redis lost it.

The row stores the id of its event. The sweep publishes the outcomes of ended rows without one.
"""

import logging
import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import redis
from django.conf import settings
from django.utils import timezone

from backend.clients.auth import signed_urls
from backend.clients.models import ANONYMOUS_ID
from backend.common import event_stream, redis_clients
from backend.common.http.service_url import service_url
from backend.common.jobs import statements
from backend.common.jobs.models import Status
from backend.submissions.models import Submission
from wire import events as wire
from wire.events import EventFace, Outcome

logger = logging.getLogger(__name__)

_MARKER: Final = "faces:events-kept"
"""A key that holds `_KEPT` as long as Redis lost nothing."""

_KEPT: Final = "1"

# Redis may be emptied again while the rows are marked: then the next sweep marks them again.
_CONFIRM_MARKER: Final = """
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('SET', KEYS[1], ARGV[2]) end
"""


def publish(submission: Submission, *, faces: Sequence[EventFace]) -> bool:
    """Append the event of an ended submission to the stream, if it is not there yet."""
    event = build(submission, faces=faces)
    owner = str(submission.owner_id)
    fields = wire.to_entry(event, owner=owner, seal=_seal(submission, event["image_url"]))
    try:
        event_id = event_stream.append(fields, owner=submission.owner_id, subject=submission.pk)
        if statements.update(Submission, {"id": submission.pk}, {"event_id": event_id}) is None:
            # The row was erased just now, before its event could be seen there.
            submission.event_id = event_id
            _erase_late(submission)
            return True
        if not event_stream.is_kept(owner=submission.owner_id, subject=submission.pk):
            # Redis was emptied in between. The sweep may have marked the lost ones before the
            # update, so it would not see this row.
            Submission.objects.filter(pk=submission.pk, event_id=event_id).update(event_id="")
            return False
    except redis.RedisError as error:
        logger.warning("event has to wait submission=%s: %s", submission.pk, error)
        return False
    logger.info("event submission=%s event=%s", submission.pk, event_id)
    return True


def build(submission: Submission, *, faces: Sequence[EventFace]) -> wire.Event:
    assert submission.processed_at is not None
    return wire.build_event(
        submission_id=str(submission.pk),
        outcome=outcome(submission),
        created_at=submission.created_at,
        processed_at=submission.processed_at,
        faces=faces,
        # Unsigned: the websocket servers sign it when they send it (`_seal`).
        image_url=f"{settings.SERVICE_URL}{submission.result.url}" if submission.result else None,
        reason=submission.reason or None,
    )


def outcome(submission: Submission) -> Outcome:
    if submission.status == Status.FAILED:
        return Outcome.FAILED
    return Outcome.FACES if submission.faces_count else Outcome.NO_FACES


def image_url(submission: Submission) -> str | None:
    """The absolute address of the picture with the boxes, if there is one.

    Where everybody shares one space it is for everybody; else it is signed and ends.
    """
    if not submission.result:
        return None
    return _address(submission, submission.result.url)


def original_url(submission: Submission) -> str:
    """The absolute address of the image as it was uploaded."""
    return _address(submission, f"/image/{submission.pk}/original")


def _address(submission: Submission, path: str) -> str:
    return f"{service_url()}{path}" if _is_shared(submission) else signed_urls.signed(path)


def _seal(submission: Submission, url: str | None) -> str:
    """The seal of the event's `image_url`; empty where none is to be signed."""
    if url is None or _is_shared(submission):
        return ""
    return signed_urls.seal(submission.result.url, owner=str(submission.owner_id), url=url)


def _is_shared(submission: Submission) -> bool:
    return submission.owner_id == ANONYMOUS_ID and not settings.FACES_REQUIRE_API_KEY


def mark_lost(*, since_s: int = 3600) -> int:
    """If Redis was emptied, mark the outcomes of the last hour as unpublished; returns how many.

    Clients get no event twice by this: the websocket servers deduplicate.
    """
    client = redis_clients.default()
    if client.get(_MARKER) == _KEPT:
        return 0
    token = uuid.uuid4().hex
    client.set(_MARKER, token)
    since = timezone.now() - timedelta(seconds=since_s)
    recent = Submission.objects.filter(processed_at__gt=since).exclude(event_id="")
    newest = recent.order_by("-processed_at").values("pk")[: settings.FACES_EVENT_STREAM_MAXLEN]
    forgotten = Submission.objects.filter(pk__in=list(newest.values_list("pk", flat=True)))
    count = forgotten.update(event_id="")
    client.eval(_CONFIRM_MARKER, 1, _MARKER, token, _KEPT)
    return count


def erase(submission: Submission) -> None:
    """Take a submission's event out of Redis. Raises `redis.RedisError`."""
    event_stream.erase(submission.event_id, owner=submission.owner_id, subject=submission.pk)


def _erase_late(submission: Submission) -> None:
    try:
        erase(submission)
    except redis.RedisError as error:
        logger.error("an erased image's event stays submission=%s: %s", submission.pk, error)
