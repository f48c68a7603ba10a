"""The costs of an image, measured on this machine with PostgreSQL; and how far the model is off."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import psycopg

from benchmarks import fanout
from benchmarks.capacity.model import Costs, on_one_machine
from benchmarks.jobs import cpu_s, process_cpu_s
from benchmarks.report import Figure
from benchmarks.service import SIZES, jpeg, through_service, unlike
from tests.support.postgres_server import PostgresServer
from tests.support.service_process import all_pids, parent
from tests.support.stack import Stack
from wire import environment
from wire.events import STREAM

_LISTENERS: Final = 500
_EVENTS: Final = 20


def measured(images: int, workers: int) -> Iterator[tuple[str, Costs, list[Figure]]]:
    """The costs of each size of image, and the model beside the measured service."""
    frame = _frame_ms()
    defaults = environment.defaults()
    settings = {name: defaults[name] for name in ("FACES_SWEEP_INTERVAL_S", "FACES_RETRY_DELAY_S")}
    with ExitStack() as exits:
        postgresql = exits.enter_context(PostgresServer())
        settings["DATABASE_URL"] = postgresql.create_database()
        stack = exits.enter_context(Stack(nginx=True, workers=workers, settings=settings))
        for size in list(SIZES)[:2]:
            picture = jpeg(SIZES[size]())
            stack.wait_ended([stack.upload(unlike(picture)) for _ in range(2 * workers)])
            costs, rate = _costs(stack, postgresql.pid, picture, images, frame)
            yield size, costs, list(_compared(costs, rate, workers))


def _costs(
    stack: Stack, postgresql: int, picture: bytes, images: int, frame: float
) -> tuple[Costs, float]:
    """At saturation; and the images a second."""
    before = _used_ms(stack, postgresql) | _stored_bytes(stack)
    rate = through_service(stack, [unlike(picture) for _ in range(images)])
    after = _used_ms(stack, postgresql) | _stored_bytes(stack)
    used = {name: (after[name] - before[name]) / images for name in after}
    return Costs(frame=frame, **used), rate


def _compared(costs: Costs, rate: float, cores: int) -> Iterator[Figure]:
    modelled = on_one_machine(costs, cores)
    yield Figure("  measured", rate, "images/s")
    yield Figure("  by the model", modelled, "images/s", "", f"{cores} cores")
    yield Figure("  model / measured", modelled / rate, "×", "0.85 to 1.15")


def _used_ms(stack: Stack, postgresql: int) -> dict[str, float]:
    seconds = cpu_s(stack) | {"postgresql": _tree_cpu_s(postgresql)}
    seconds["wsserver"] = seconds.pop("wsserver-0")
    del seconds["the client"]
    return {name: 1000 * each for name, each in seconds.items()}


def _stored_bytes(stack: Stack) -> dict[str, float]:
    with psycopg.connect(stack.database_url) as database:
        row = database.execute("SELECT pg_database_size(current_database())").fetchone()
    assert row is not None
    files = [path for path in (stack.storage / "media").rglob("*") if path.is_file()]
    with stack.redis.client() as client:
        stream = client.memory_usage(STREAM, samples=0) or 0
    media = sum(path.stat().st_size for path in files)
    return {"row_bytes": row[0], "media_bytes": media, "event_bytes": stream}


def _tree_cpu_s(root: int) -> float:
    """Of a server that forks: its children too, and those that have ended (proc(5): cutime)."""
    fields = Path(f"/proc/{root}/stat").read_text().rpartition(")")[2].split()
    ended = sum(map(int, fields[13:15])) / os.sysconf("SC_CLK_TCK")
    living = [root, *(pid for pid in all_pids() if parent(pid) == root)]
    return ended + sum(map(process_cpu_s, living))


def _frame_ms() -> float:
    """Of a websocket server, for an event to one listener more."""
    fanout.allow_sockets(_LISTENERS)
    few, many = (
        fanout.measure(listeners, _EVENTS, 0.2).server_cpu_ms_per_event
        for listeners in (1, _LISTENERS)
    )
    return (many - few) / (_LISTENERS - 1)
