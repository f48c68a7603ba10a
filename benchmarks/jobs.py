"""The job path beside the engine: images a second through the service, and by the engine alone.

    python -m benchmarks.jobs [--json FILE] [--images N] [--workers N] [--rounds N]

The engine alone runs in as many warm processes as the service has workers, at the same time, and
does what a job does: find, encode, draw, save. Both sides take turns on the same pictures. The
client is one process that uploads from a thread and listens on the websocket.

Processor time is measured beside the rates: it hardly depends on what else the machine does.
"""

import argparse
import io
import multiprocessing
import os
import statistics
import time
from collections.abc import Iterator
from multiprocessing.synchronize import Barrier
from pathlib import Path
from threading import Thread
from typing import Final

from websockets.sync.client import connect

from benchmarks.report import Figure, show
from benchmarks.service import SIZES, jpeg, unlike
from tests.support.stack import Stack
from wire import environment

GOALS: Final = {"640x480, 1 face": "≥ 0.80", "1920x1080, 2 faces": "≥ 0.90"}

_fork = multiprocessing.get_context("fork")


def service_rate(stack: Stack, files: list[bytes]) -> float:
    """Images a second, from the first upload to the last event."""
    with connect(stack.listen_url(), proxy=None) as socket:
        uploads = Thread(target=lambda: [stack.upload(file) for file in files])
        started = time.monotonic()
        uploads.start()
        for _ in files:
            socket.recv(timeout=60)
        took_s = time.monotonic() - started
        uploads.join()
    return len(files) / took_s


def cpu_s(stack: Stack) -> dict[str, float]:
    """Processor seconds of each part of the service so far."""
    groups = {process.name: process.members() for process in stack.processes()}
    groups["redis"] = [stack.redis.pid]
    return {name: sum(map(process_cpu_s, pids)) for name, pids in groups.items()}


def process_cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


def engine_cpu_s(picture: bytes, count: int) -> float:
    """Processor seconds of the engine for one picture."""
    _analyse(picture)
    started = time.process_time()
    for _ in range(count):
        _analyse(picture)
    return (time.process_time() - started) / count


def engine_rate(picture: bytes, *, processes: int, count: int) -> float:
    """Images a second of `processes` warm ones together."""
    barrier = _fork.Barrier(processes + 1)
    children = [
        _fork.Process(target=_run_engine, args=(picture, count // processes, barrier))
        for _ in range(processes)
    ]
    for child in children:
        child.start()
    barrier.wait()
    started = time.monotonic()
    for child in children:
        child.join()
    return count // processes * processes / (time.monotonic() - started)


def _run_engine(picture: bytes, count: int, barrier: Barrier) -> None:
    _analyse(picture)  # warm
    barrier.wait()
    for _ in range(count):
        _analyse(picture)


def _analyse(picture: bytes) -> bytes:
    import faceengine

    faces = faceengine.find_faces(io.BytesIO(picture))
    return jpeg(faceengine.draw_boxes(faceengine.load_image(picture), faces))


def figures(stack: Stack, *, workers: int, count: int, rounds: int) -> Iterator[Figure]:
    """For each size the service, the engine, and one divided by the other."""
    for size, goal in GOALS.items():
        picture = jpeg(SIZES[size]())
        ours, alone, before = [], [], cpu_s(stack)
        for _ in range(rounds):
            ours.append(service_rate(stack, [unlike(picture) for _ in range(count)]))
            alone.append(engine_rate(picture, processes=workers, count=count))
        rate, engine = statistics.median(ours), statistics.median(alone)
        yield Figure(f"{size}: through the service", rate, "images/s")
        yield Figure(f"{size}: the engine, {workers} processes", engine, "images/s")
        yield Figure(f"{size}: share of the engine", rate / engine, "", goal)
        used = {name: s - before[name] for name, s in cpu_s(stack).items()}
        for name, seconds in used.items():
            yield Figure(
                f"{size}: {name}", 1000 * seconds / (rounds * count), "ms", "", "processor"
            )
        cpu = engine_cpu_s(picture, count) * rounds * count
        yield Figure(f"{size}: share by processor", cpu / sum(used.values()), "")


def main() -> None:
    parser = argparse.ArgumentParser(description="the job path beside the engine alone")
    parser.add_argument("--images", type=int, default=100, help="of each size and round")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    import faceengine

    faceengine.load()
    defaults = environment.defaults()
    settings = {name: defaults[name] for name in ("FACES_SWEEP_INTERVAL_S", "FACES_RETRY_DELAY_S")}
    with Stack(nginx=True, workers=options.workers, settings=settings) as stack:
        stack.wait_ended([stack.upload(jpeg(SIZES["640x480, 1 face"]())) for _ in range(4)])
        measured = figures(
            stack, workers=options.workers, count=options.images, rounds=options.rounds
        )
        show(measured, options.json)


if __name__ == "__main__":
    main()
