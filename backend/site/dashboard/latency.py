"""Durations of the stages of a job, from the histograms."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypedDict

from backend.common.metrics.registry import BUCKETS_S, SUM

_STAGES: Final = (
    ("faces_job_wait_seconds", ("submission",), "waits for a worker"),
    ("faces_engine_seconds", ("detect_encode",), "finding the faces"),
    ("faces_engine_seconds", ("draw",), "drawing the boxes"),
    ("faces_job_duration_seconds", ("submission",), "from upload to result"),
)

_BOUNDS: Final = (0.0, *BUCKETS_S)

Counted = Mapping[str, Mapping[tuple[str, ...], float]]


class Stage(TypedDict):
    """So many since the counters began; seconds, or None where there were none."""

    name: str
    count: int
    mean_s: float | None
    median_s: float | None
    p95_s: float | None


def stages(counted: Counted) -> list[Stage]:
    """Every stage of an upload, in order."""
    return [_stage(name, counted.get(metric, {}), labels) for metric, labels, name in _STAGES]


def quantile(buckets: Mapping[str, float], share: float) -> float | None:
    """The duration that `share` of all stay below, between the bounds of its bucket in proportion.

    As Prometheus' `histogram_quantile`; durations beyond the last bound count as that bound.
    """
    wanted, passed = share * sum(_in_order(buckets)), 0.0
    if not wanted:
        return None
    for place, inside in enumerate(_in_order(buckets)):
        if inside and passed + inside >= wanted:
            lower = _BOUNDS[place]
            upper = _BOUNDS[min(place + 1, len(_BOUNDS) - 1)]
            return lower + (upper - lower) * (wanted - passed) / inside
        passed += inside
    return _BOUNDS[-1]


def _stage(name: str, series: Mapping[tuple[str, ...], float], labels: tuple[str, ...]) -> Stage:
    values = {key[-1]: value for key, value in series.items() if key[:-1] == labels}
    total = values.pop(SUM, 0.0) / 1e6
    count = int(sum(values.values()))
    return {
        "name": name,
        "count": count,
        "mean_s": _rounded(total / count if count else None),
        "median_s": _rounded(quantile(values, 0.5)),
        "p95_s": _rounded(quantile(values, 0.95)),
    }


def _in_order(buckets: Mapping[str, float]) -> Iterator[float]:
    for bound in (*map(str, BUCKETS_S), "+Inf"):
        yield buckets.get(bound, 0.0)


def _rounded(seconds: Any) -> float | None:
    return None if seconds is None else round(seconds, 4)
