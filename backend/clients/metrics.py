"""A source of metrics: stored bytes."""

from collections.abc import Iterator

from django.db.models import Sum

from backend.clients.models import Client
from backend.common.metrics import registry
from backend.common.metrics.registry import Sample

STORED_BYTES = registry.gauge("faces_stored_bytes", "Bytes of the uploads that are stored.")


def collect() -> Iterator[Sample]:
    stored = Client.objects.order_by().aggregate(bytes=Sum("stored_bytes"))["bytes"]
    yield Sample(STORED_BYTES, stored or 0, {})
