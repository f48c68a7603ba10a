"""Publication of outcomes to the Redis stream: once for each submission, again if Redis lost it."""

from collections.abc import Callable, Sequence
from typing import Final

from django.conf import settings

from backend.clients.auth import signed_urls
from backend.clients.models import ANONYMOUS_ID
from backend.common import event_stream
from backend.common.http.service_url import service_url
from backend.common.jobs.models import Status
from backend.submissions.models import Submission
from backend.webhooks import services as webhooks
from backend.webhooks.models import Subject
from wire import events as wire
from wire.events import EventFace, Outcome

_outbox: Final = event_stream.Outbox(Submission, name="events")


def publish(submission: Submission, *, faces: Sequence[EventFace]) -> bool:
    """Append the event of an ended submission to the stream, if it is not there yet."""
    event = build(submission, faces=faces)
    assert submission.processed_at is not None
    # Before the event, which is published again if this process dies here.
    webhooks.notify(
        Subject.SUBMISSION,
        submission.pk,
        owner_id=submission.owner_id,
        ended_at=submission.processed_at,
    )
    owner = str(submission.owner_id)
    fields = wire.to_entry(event, owner=owner, seal=_seal(submission, event["image_url"]))
    return _outbox.publish(submission, fields)


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


def sweep(publish: Callable[[Submission], bool]) -> None:
    """Publish the outcomes that are not in the stream. Raises `redis.RedisError`."""
    _outbox.sweep(publish)


def erase(submission: Submission) -> None:
    """Take a submission's event out of Redis. Raises `redis.RedisError`."""
    _outbox.erase(submission)
