"""What machines can do, from the processor time of an image in each process: arithmetic.

Workers, web processes and nginx run on every machine, so that more machines help. Redis has one
thread, and so has each websocket server, which reads every event. PostgreSQL has one machine. What
ends first is the least of these bounds. Waiting is simulated (`waits_ms`).
"""

import heapq
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

SECONDS_A_DAY: Final = 86_400
_MS: Final = 1000.0


@dataclass(frozen=True)
class Costs:
    """Of one image: milliseconds of a processor by process, and bytes by store."""

    worker: float
    backend: float
    nginx: float
    redis: float
    wsserver: float
    postgresql: float
    frame: float
    """Of a websocket server, for an event to one listener."""
    row_bytes: float
    media_bytes: float
    event_bytes: float


@dataclass(frozen=True)
class Fleet:
    """Machines for workers, web processes and nginx; the other parts have machines of their own."""

    machines: int
    cores: int = 8
    wsservers: int = 2
    listeners: int = 0
    """Of each websocket server, which get every event."""
    database_cores: int = 8
    use: float = 0.8
    """The share of a processor that may be in use; above it waiting grows out of hand."""


def bounds(costs: Costs, fleet: Fleet) -> Mapping[str, float]:
    """Images a second at which each part ends."""
    spread = costs.worker + costs.backend + costs.nginx
    event = costs.wsserver + fleet.listeners * costs.frame
    cores = {
        "processors": fleet.machines * fleet.cores / spread,
        "Redis": 1 / costs.redis,
        "websocket server": 1 / event,
        "PostgreSQL": fleet.database_cores / costs.postgresql,
    }
    return {name: _MS * fleet.use * each for name, each in cores.items()}


def first_end(costs: Costs, fleet: Fleet) -> tuple[str, float]:
    """The part that ends first, and at how many images a second."""
    return min(bounds(costs, fleet).items(), key=lambda each: each[1])


def machines_for(costs: Costs, fleet: Fleet, rate: float) -> int:
    """How many machines have processors for `rate` images a second."""
    one = bounds(costs, fleet)["processors"] / fleet.machines
    return max(1, -int(-rate // one))


def on_one_machine(costs: Costs, cores: int) -> float:
    """Images a second with everything on one machine, all processors in use."""
    together = costs.worker + costs.backend + costs.nginx + costs.redis + costs.wsserver
    return _MS * cores / (together + costs.postgresql)


def waits_ms(costs: Costs, *, cores: int, rate: float, count: int = 20_000) -> Iterator[float]:
    """From upload to event of images that come at random on one machine, `rate` a second.

    A queue with one server for each core, first come first served (the recursion of Kiefer and
    Wolfowitz, 1955). The other processes go before the workers, which get what these leave of the
    processors.
    """
    choice = random.Random(1)
    others = costs.backend + costs.nginx + costs.redis + costs.wsserver + costs.postgresql
    work = costs.worker / (1 - rate * others / _MS / cores)
    free_at, now = [0.0] * cores, 0.0
    for _ in range(count):
        now += choice.expovariate(rate) * _MS
        ends = max(now + costs.backend + costs.nginx, heapq.heappop(free_at)) + work
        heapq.heappush(free_at, ends)
        yield ends + costs.redis + costs.wsserver - now
