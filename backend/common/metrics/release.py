"""The version as a metric, because an alarm should show which release it is about."""

from collections.abc import Iterator

from backend.common.metrics import registry
from backend.common.metrics.registry import Sample
from wire.release import VERSION

RELEASE = registry.gauge(
    "faces_release_info", "1, with the version of the backend that answers.", "version"
)


def collect() -> Iterator[Sample]:
    """The one sample, whose value says nothing."""
    yield Sample(RELEASE, 1, {"version": VERSION})
