"""How the work goes: what waits, since when, and how it ended. A source of metrics."""

from collections.abc import Iterator
from datetime import timedelta

from django.apps import apps
from django.db.models import Count, Min
from django.utils import timezone

from backend.common.jobs.work import Status, Work
from backend.common.metrics import registry
from backend.common.metrics.registry import Sample

ROWS_WAITING = registry.gauge(
    "faces_queue_depth", "Rows that wait for a worker, from the database.", "kind", "queue"
)
OLDEST_ROW = registry.gauge(
    "faces_queue_oldest_seconds", "How long the row that is due longest waits.", "kind", "queue"
)
IN_WORK = registry.gauge("faces_queue_in_work", "Rows that a worker has in hand.", "kind", "queue")


def collect() -> Iterator[Sample]:
    """The numbers of every kind of work there is."""
    for model in apps.get_models():
        if issubclass(model, Work):
            yield from _of(model)


def _of(model: type[Work]) -> Iterator[Sample]:
    labels = {"kind": str(model._meta.model_name), "queue": model.queue}
    rows = model._default_manager.order_by()
    waiting = rows.filter(status=Status.QUEUED).aggregate(depth=Count("pk"), oldest=Min("due_at"))
    # A retry that is not due yet waits for its time and not for a worker.
    age = timezone.now() - waiting["oldest"] if waiting["oldest"] else timedelta(0)
    yield Sample(ROWS_WAITING, waiting["depth"], labels)
    yield Sample(OLDEST_ROW, max(0.0, age.total_seconds()), labels)
    yield Sample(IN_WORK, rows.filter(status=Status.PROCESSING).count(), labels)
