"""What jobs count; the gauges of what waits are in `gauges`."""

from datetime import timedelta
from typing import Final

from backend.common.metrics import registry

OUTCOMES: Final = registry.counter(
    "faces_jobs_total",
    "Attempts by how they ended: done, no_faces, failed, retried.",
    "kind",
    "outcome",
)
WAITS: Final = registry.histogram(
    "faces_job_wait_seconds", "How long a job that is due waits for a worker.", "kind"
)
DURATIONS: Final = registry.histogram(
    "faces_job_duration_seconds", "From the creation of a job's row to its result.", "kind"
)


def observe(metric: str, duration: timedelta, *, kind: str) -> None:
    """Add a difference of two clocks, of two machines perhaps, to a histogram."""
    registry.observe(metric, max(0.0, duration.total_seconds()), kind=kind)
