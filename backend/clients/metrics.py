"""How much is stored. A source of metrics."""

from collections.abc import Iterator

from django.db.models import Sum

from backend.clients.models import Client
from backend.common.metrics import registry
from backend.common.metrics.registry import Sample

STORED_BYTES = registry.gauge("faces_stored_bytes", "Bytes of the uploads that are stored.")


def collect() -> Iterator[Sample]:
    """The numbers of all clients together."""
    stored = Client.objects.order_by().aggregate(bytes=Sum("stored_bytes"))["bytes"]
    yield Sample(STORED_BYTES, stored or 0, {})
