"""`GET /metrics`: all numbers in the text format of Prometheus."""

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import redis
from django.conf import settings
from django.db import DatabaseError
from django.http import HttpResponse
from django.utils.module_loading import import_string
from drf_spectacular.utils import extend_schema
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector
from rest_framework.request import Request
from rest_framework.views import APIView

from backend.common import redis_clients
from backend.common.metrics.registry import BUCKETS_S, DECLARED, SUM, Kind, Sample
from backend.common.openapi import response
from backend.common.redis_values import whole_number
from wire import metrics as wire

logger = logging.getLogger(__name__)

Series = Mapping[tuple[str, ...], float]
"""The values of one metric, by its labels' values in the declared order."""

Gauges = dict[str, dict[tuple[str, ...], float]]
"""The series of each gauge, by its name."""


@extend_schema(tags=["Service"])
class MetricsView(APIView):
    """For a key with the scope `operate`; open where the service needs no keys at all.

    A client's own key is not enough, because the numbers of all clients would show what others do.
    """

    @property
    def scopes(self) -> dict[str, str]:
        return {"get": "operate" if settings.FACES_REQUIRE_API_KEY else "read"}

    api_path = "/metrics"

    @extend_schema(
        operation_id="metrics",
        responses={(200, "text/plain"): response(str, "The numbers.")},
    )
    def get(self, request: Request) -> HttpResponse:
        """All numbers, for Prometheus.

        The text format 0.0.4. docs/metrics.md says what each number means.
        """
        page = HttpResponse(render(), content_type=CONTENT_TYPE_PLAIN_0_0_4)
        page["Cache-Control"] = "no-store"
        return page

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """Text, and errors in JSON, whatever `Accept` says."""
        return super().perform_content_negotiation(request, force=True)


def render() -> bytes:
    """All metrics as text, without those that cannot be read at the moment."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Numbers())
    return generate_latest(registry)


class _Numbers(Collector):
    def collect(self) -> Iterator[Metric]:
        numbers, gauges = counted(), looked_up()
        for name, metric in sorted(DECLARED.items()):
            if metric.kind is Kind.COUNTER:
                yield _counter(name, numbers.get(name, {}))
            elif metric.kind is Kind.HISTOGRAM:
                yield _histogram(name, numbers.get(name, {}))
            else:
                yield _gauge(name, gauges.get(name, {}))


def _counter(name: str, series: Series) -> Metric:
    metric = DECLARED[name]
    family = CounterMetricFamily(name, metric.help, labels=metric.labels)
    # A counter without labels starts at 0, so that `rate()` sees its first step.
    for labels, value in (series or ({(): 0.0} if not metric.labels else {})).items():
        family.add_metric(labels, value)
    return family


def _histogram(name: str, series: Series) -> Metric:
    metric = DECLARED[name]
    family = HistogramMetricFamily(name, metric.help, labels=metric.labels)
    by_labels: dict[tuple[str, ...], dict[str, float]] = defaultdict(dict)
    for (*labels, bound), value in series.items():
        by_labels[tuple(labels)][bound] = value
    for labels_, values in sorted(by_labels.items()):
        family.add_metric(labels_, list(_cumulated(values)), values.get(SUM, 0.0) / 1e6)
    return family


def _cumulated(values: Mapping[str, float]) -> Iterator[tuple[str, float]]:
    total = 0.0
    for bound in (*map(str, BUCKETS_S), "+Inf"):
        total += values.get(bound, 0.0)
        yield bound, total


def _gauge(name: str, series: Series) -> Metric:
    family = GaugeMetricFamily(name, DECLARED[name].help, labels=DECLARED[name].labels)
    for labels, value in series.items():
        family.add_metric(labels, value)
    return family


def counted() -> dict[str, dict[tuple[str, ...], float]]:
    """The counters and histograms in Redis that are still declared."""
    try:
        fields: Any = redis_clients.default().hgetall(wire.HASH)
    except redis.RedisError as error:
        logger.warning("metrics without what Redis holds: %s", error)
        return {}
    found: dict[str, dict[tuple[str, ...], float]] = defaultdict(dict)
    for field, value in fields.items():
        if (series := _series(field)) is not None and (number := whole_number(value)) is not None:
            name, labels = series
            found[name][labels] = float(number)
    return found


def _series(field: str) -> tuple[str, tuple[str, ...]] | None:
    """The metric and the values of its labels that a field of Redis names, if it is declared."""
    try:
        name, labels = wire.parse_field(field)
        metric = DECLARED[name]
    except (ValueError, KeyError):
        return None
    extra = ("le",) if metric.kind is Kind.HISTOGRAM else ()
    return (name, tuple(labels.values())) if tuple(labels) == (*metric.labels, *extra) else None


def looked_up() -> Gauges:
    """Every gauge, without those that cannot be read at the moment."""
    found: dict[str, dict[tuple[str, ...], float]] = defaultdict(dict)
    for source in settings.METRICS_SOURCES:
        for sample in _samples(source):
            labels = tuple(sample.labels[label] for label in DECLARED[sample.name].labels)
            found[sample.name][labels] = sample.value
    return found


def _samples(source: str) -> Iterable[Sample]:
    try:
        return list(import_string(source)())
    except (redis.RedisError, DatabaseError) as error:
        logger.warning("metrics without %s: %s", source, error)
        return []
