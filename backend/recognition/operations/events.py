"""Events of ended operations, for the client's websocket listeners that subscribe to operations.

Only of operations that were answered with 202: other callers have the result already.
"""

from typing import Final

from django.db.models import Q

from backend.common import event_stream
from backend.common.http.service_url import service_url
from backend.recognition.models import Operation
from wire import events as wire

_outbox: Final = event_stream.Outbox(Operation, name="operation-events", only=Q(notify_on_end=True))


def url(operation: Operation) -> str:
    """The operation's resource, which has its result."""
    return f"{service_url()}/recognition/operations/{operation.pk}/"


def publish(operation: Operation) -> bool:
    """Append the event of an ended operation to the stream; False if the sweep has to retry it."""
    fields = wire.to_entry(_event(operation), owner=str(operation.owner_id))
    return _outbox.publish(operation, fields)


def sweep() -> None:
    """Publish the events that are not in the stream. Raises `redis.RedisError`."""
    _outbox.sweep(publish)


def erase(operation: Operation) -> None:
    """Delete an operation's event from Redis. Raises `redis.RedisError`."""
    if operation.notify_on_end:
        _outbox.erase(operation)


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
