"""Webhooks: made, deleted; what ended is stored for them, and sent in order."""

from __future__ import annotations

import json
import logging
import time
import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone
from django.utils.module_loading import import_string

from backend.clients.audit import audit
from backend.clients.models import Client
from backend.common import image_downloads
from backend.common.image_downloads import FetchError
from backend.common.jobs import statements
from backend.common.jobs.models import JobError, Status, TurnOver
from backend.webhooks import signatures
from backend.webhooks.models import Delivery, Event, Subject, Webhook

logger = logging.getLogger(__name__)

MOST_WEBHOOKS: Final = 10
"""Of a client: each ended image costs a row of every one."""

_TIMEOUT_S: Final = 5.0
"""Of a request: a silent server holds a worker that long at each attempt."""

_A_TURN_S: Final = 5.0
"""Seconds after which a worker that sends lets others have their turn."""

_KEPT: Final = timedelta(days=1)
"""The age up to which an event waits for a server, and a delivery is kept to know repeats."""

_REFUSALS: Final = frozenset((400, 413, 415, 422))
"""A server that answers so has read the body and does not want it: another attempt is no use."""

# Of every image that ends, so that it is written out (`statements`).
_ANY: Final = "SELECT 1 FROM webhooks_webhook WHERE owner_id = %s LIMIT 1"


class TooManyWebhooks(Exception):
    """The client has `MOST_WEBHOOKS`."""


def create(
    client_id: int, *, url: str, events: Iterable[str], user_id: int | None, actor: str
) -> Webhook:
    """A new webhook of a client. Raises `TooManyWebhooks`."""
    with transaction.atomic():
        # Two that are made at once must not both be the last.
        Client.objects.select_for_update().get(pk=client_id)
        if Webhook.objects.filter(owner_id=client_id).count() >= MOST_WEBHOOKS:
            raise TooManyWebhooks
        webhook = Webhook.objects.create(
            owner_id=client_id,
            url=url,
            events=list(events),
            user_id=user_id,
            status=Status.DONE,
            processed_at=timezone.now(),
        )
        audit(actor, "create webhook", str(webhook.pk))
    return webhook


def delete(webhook: Webhook, *, actor: str) -> None:
    """Delete a webhook, and what waits for it."""
    with transaction.atomic():
        audit(actor, "delete webhook", str(webhook.pk))
        webhook.delete()


def notify(
    subject: Subject,
    id: uuid.UUID,
    *,
    owner_id: int,
    ended_at: datetime,
    user_id: int | None = None,
) -> None:
    """Store the end of a `subject` for each webhook of the client that wants it.

    Safe to call any number of times: an end is stored once.
    """
    if not statements.is_there(_ANY, [owner_id]):
        return
    for webhook in Webhook.objects.filter(owner_id=owner_id):
        for event in webhook.events_of(subject, user_id):
            _add(webhook, event, subject=subject, subject_id=id, ended_at=ended_at)


def ping(webhook: Webhook) -> Delivery:
    """Send an event without data, to try a webhook; returns its delivery."""
    now = timezone.now()
    return _add(webhook, Event.PING, subject=Subject.NONE, subject_id=webhook.pk, ended_at=now)


def forget(subject_id: uuid.UUID) -> None:
    """Delete the deliveries about what is erased."""
    Delivery.objects.filter(subject_id=subject_id).delete()


def send(webhook: Webhook) -> None:
    """Send what waits, the oldest first. A job; raises `JobError` and `TurnOver`."""
    end = time.monotonic() + _A_TURN_S
    while (delivery := _waiting(webhook).first()) is not None:
        if time.monotonic() > end:
            raise TurnOver
        _deliver(webhook, delivery)
    if webhook.succeed() and _waiting(webhook).exists():  # it was stored behind the last look
        _wake(webhook)


def give_up(webhook: Webhook) -> None:
    """Stop trying the oldest event of a webhook that has just failed for good."""
    if delivery := _waiting(webhook).first():
        _end(delivery, reason=webhook.reason)


def host(webhook: Webhook) -> str:
    """The host of its URL, which may be shown: the rest may hold a token."""
    return urlsplit(webhook.url).netloc


def retry(webhook: Webhook) -> bool:
    """Send again to a webhook that failed; False if it has not."""
    return webhook.status == Status.FAILED and _wake(webhook)


def sweep() -> None:
    """Send what a process stored and then died, and delete what is old."""
    waiting = Delivery.objects.filter(webhook=OuterRef("pk"), is_waiting=True)
    for webhook in Webhook.objects.filter(Exists(waiting), status=Status.DONE):
        _wake(webhook)
    Delivery.objects.filter(created_at__lt=timezone.now() - _KEPT).delete()


def erase_of(owner_id: int, *, at_most: int) -> int:
    """Delete up to `at_most` webhooks of a client; returns how many there were. An eraser."""
    ids = list(Webhook.objects.filter(owner_id=owner_id).values_list("pk", flat=True)[:at_most])
    Webhook.objects.filter(pk__in=ids).delete()
    return len(ids)


def _add(webhook: Webhook, event: Event, **about: Any) -> Delivery:
    delivery, is_new = Delivery.objects.get_or_create(webhook=webhook, event=event, **about)
    if is_new:
        _wake(webhook)
    return delivery


def _wake(webhook: Webhook) -> bool:
    """DONE or FAILED → QUEUED; False where it is queued or in work already."""
    now = timezone.now()
    idle = Webhook.objects.filter(pk=webhook.pk, status__in=[Status.DONE, Status.FAILED])
    new = {"status": Status.QUEUED, "attempts": 0, "reason": "", "processed_at": None}
    if not idle.update(**new, created_at=now, due_at=now):
        return False
    transaction.on_commit(webhook.enqueue)
    return True


def _waiting(webhook: Webhook) -> QuerySet[Delivery]:
    return webhook.deliveries.filter(is_waiting=True).order_by("created_at")


def _deliver(webhook: Webhook, delivery: Delivery) -> None:
    data = _data(webhook, delivery)
    if data is None:
        delivery.delete()
        return
    body = {"type": delivery.event, "timestamp": delivery.ended_at.isoformat(), "data": data}
    if refusal := _post(webhook, delivery, json.dumps(body).encode()):
        _end(delivery, reason=refusal)
        return
    _end(delivery, sent_at=timezone.now())
    # What fails next fails for the first time.
    webhook.attempts = 1
    Webhook.objects.filter(pk=webhook.pk).update(attempts=1, last_sent_at=timezone.now())


def _data(webhook: Webhook, delivery: Delivery) -> Mapping[str, Any] | None:
    """The event's data; None where there is none, or none any more."""
    if delivery.event == Event.PING:
        return {"webhook_id": str(webhook.pk)}
    source = import_string(settings.WEBHOOK_EVENTS[delivery.event])
    subject = Subject(delivery.subject)
    data: Mapping[str, Any] | None = source(
        subject, delivery.subject_id, owner_id=webhook.owner_id, user_id=webhook.user_id
    )
    return data


def _post(webhook: Webhook, delivery: Delivery, body: bytes) -> str:
    """Send a body; returns why the server does not want it, if so. Raises `JobError`."""
    headers = signatures.headers(webhook.pk, delivery.pk, body, time.time())
    try:
        answer = image_downloads.client().request(
            "POST", webhook.url, timeout_s=_TIMEOUT_S, headers=headers, body=body
        )
    except FetchError as error:
        reason, is_permanent = error.message, error.permanent
    else:
        logger.info("webhook=%s delivery=%s status=%d", webhook.pk, delivery.pk, answer.status)
        if 200 <= answer.status < 300:
            return ""
        reason, is_permanent = f"The server answered {answer.status}.", False
        if answer.status in _REFUSALS:
            return reason
    Delivery.objects.filter(pk=delivery.pk).update(reason=reason[:500])
    raise JobError(reason, permanent=is_permanent)


def _end(delivery: Delivery, *, sent_at: datetime | None = None, reason: str = "") -> None:
    Delivery.objects.filter(pk=delivery.pk).update(
        is_waiting=False, sent_at=sent_at, reason=reason[:500]
    )
