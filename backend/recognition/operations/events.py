"""Events of ended operations, for the client's websocket listeners that subscribe to operations.

Only of operations that were answered with 202: other callers have the result already.
"""

import logging

import redis

from backend.common import event_stream
from backend.common.http.service_url import service_url
from backend.recognition.models import Operation
from wire import events as wire

logger = logging.getLogger(__name__)


def url(operation: Operation) -> str:
    """The operation's resource, which has its result."""
    return f"{service_url()}/recognition/operations/{operation.pk}/"


def publish(operation: Operation) -> bool:
    """Append the event of an ended operation to the stream; False if the sweep has to retry it."""
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
    """Delete an operation's event from Redis. Raises `redis.RedisError`."""
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
