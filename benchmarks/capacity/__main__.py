"""What N machines do, which part ends first, and what so many images a day need: docs/capacity.md.

python -m benchmarks.capacity [--cores N] [--svg FILE]      by the costs below
python -m benchmarks.capacity --measure [--images N]        the costs of this machine, and the
                                                            model beside the measured service
"""

import argparse
import dataclasses
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from benchmarks import plots
from benchmarks.capacity import measure
from benchmarks.capacity.model import (
    SECONDS_A_DAY,
    Costs,
    Fleet,
    bounds,
    first_end,
    machines_for,
    on_one_machine,
    waits_ms,
)
from benchmarks.report import Figure, percentile, show

COSTS: Final[Mapping[str, Costs]] = {
    "640x480, 1 face": Costs(
        worker=34.8,
        backend=8.4,
        nginx=0.4,
        redis=1.0,
        wsserver=1.3,
        postgresql=6.2,
        frame=0.02,
        row_bytes=2_703,
        media_bytes=71_579,
        event_bytes=557,
    ),
    "1920x1080, 2 faces": Costs(
        worker=143,
        backend=14.5,
        nginx=0.8,
        redis=2.1,
        wsserver=1.6,
        postgresql=11.1,
        frame=0.02,
        row_bytes=4_506,
        media_bytes=365_877,
        event_bytes=649,
    ),
}
"""Of one image, as `--measure` showed them on two busy cores of an Intel Xeon with PostgreSQL."""

_MACHINES: Final = (1, 2, 5, 10, 20, 50)
_DAYS: Final = (10**5, 10**6, 10**7)
_PEAK: Final = 4
"""The busiest hour's rate beside the day's mean: an assumption, as of people of one region."""
_LOADS: Final = tuple(each / 20 for each in range(2, 19))


def main() -> None:
    parser = argparse.ArgumentParser(description="what N machines do, and which part ends first")
    parser.add_argument("--cores", type=int, default=8, help="of each machine")
    parser.add_argument("--listeners", type=int, default=0, help="of each websocket server")
    parser.add_argument("--svg", type=Path, metavar="FILE")
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    if options.measure:
        show(_measured(options.images, options.workers), None)
        return
    fleet = Fleet(1, cores=options.cores, listeners=options.listeners)
    show((each for size in COSTS for each in _figures(size, fleet)), None)
    if options.svg:
        plots.write(options.svg, list(_charts(fleet)), columns=2)


def _measured(images: int, workers: int) -> Iterator[Figure]:
    for size, costs, compared in measure.measured(images, workers):
        for name, value in dataclasses.asdict(costs).items():
            yield Figure(f"{size}: {name}", value, "" if "bytes" in name else "ms")
        yield from compared


def _figures(size: str, one: Fleet) -> Iterator[Figure]:
    costs = COSTS[size]
    yield Figure(f"{size}: one machine with everything", on_one_machine(costs, one.cores), "/s")
    for machines in _MACHINES:
        name, rate = first_end(costs, dataclasses.replace(one, machines=machines))
        yield Figure(f"{size}: {machines} machines", rate, "images/s", "", f"{name} first")
    for images in _DAYS:
        yield from _day(f"{images:,} a day", costs, one, images)


def _day(name: str, costs: Costs, one: Fleet, images: int) -> Iterator[Figure]:
    rate = _PEAK * images / SECONDS_A_DAY
    machines = machines_for(costs, one, rate)
    shares = {part: one.use * rate / end for part, end in bounds(costs, one).items()}
    del shares["processors"]
    use = ", ".join(f"{part} {share:.0%}" for part, share in shares.items())
    yield Figure(f"  {name}", rate, "images/s", "", "in the busiest hour")
    yield Figure("    machines", machines, "", "", f"of {one.cores} cores; in use: {use}")
    for store in ("row", "media", "event"):
        yield Figure(
            f"    {store}s", images * getattr(costs, f"{store}_bytes") / 2**30, "GiB a day"
        )


def _charts(one: Fleet) -> Iterator[plots.Chart]:
    for size, costs in COSTS.items():
        fleets = [dataclasses.replace(one, machines=number) for number in range(1, 51)]
        ends = [(fleet.machines, bounds(costs, fleet)) for fleet in fleets]
        lines = {name: [(x, each[name]) for x, each in ends] for name in ends[0][1]}
        yield plots.Chart(f"{size}: images a second", f"machines of {one.cores} cores", lines)
    for size, costs in COSTS.items():
        full = on_one_machine(costs, one.cores)
        waits = [
            (load, sorted(waits_ms(costs, cores=one.cores, rate=load * full))) for load in _LOADS
        ]
        waiting = {
            f"p{percent}": [(load, percentile(times, percent)) for load, times in waits]
            for percent in (50, 99)
        }
        yield plots.Chart(f"{size}: upload to event, ms", "share of what it can do", waiting)


if __name__ == "__main__":
    main()
