"""The end of a call, told on the feed to its client's listeners that ask for operations.

Only of a call that was answered with 202: who had the answer at once need not hear of it again.
"""

import logging

import redis
from django.conf import settings

from backend.common import event_stream
from backend.recognition.models import Operation
from wire import events as wire

logger = logging.getLogger(__name__)


def url(operation: Operation) -> str:
    """Where the call and its result can be asked for."""
    return f"{settings.SERVICE_URL}/recognition/operations/{operation.pk}/"


def publish(operation: Operation) -> bool:
    """Append the event of an ended call to the stream; False if that has to be done later."""
    fields = wire.to_entry(_event(operation), owner=str(operation.owner_id))
    try:
        event_id = event_stream.append(fields, owner=operation.owner_id, subject=operation.pk)
        if not Operation.objects.filter(pk=operation.pk).update(event_id=event_id):
            event_stream.erase(event_id, owner=operation.owner_id, subject=operation.pk)
    except redis.RedisError as error:
        logger.warning("event has to wait operation=%s: %s", operation.pk, error)
        return False
    return True


def erase(operation: Operation) -> None:
    """Take a call's event out of Redis. Raises `redis.RedisError`."""
    if operation.notify_on_end:
        event_stream.erase(operation.event_id, owner=operation.owner_id, subject=operation.pk)


def _event(operation: Operation) -> wire.OperationEvent:
    assert operation.processed_at is not None
    return wire.build_operation_event(
        operation_id=str(operation.pk),
        operation_url=url(operation),
        kind=operation.kind,
        status=operation.status,
        created_at=operation.created_at,
        processed_at=operation.processed_at,
        reason=operation.reason or None,
    )
