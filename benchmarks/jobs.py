"""The job path beside the engine: images a second through the service, and by the engine alone.

    python -m benchmarks.jobs [--json FILE] [--images N] [--workers N] [--rounds N]
        [--detector hog|yunet] [--database sqlite|postgresql] [--only rates|memory]

The engine alone runs in as many warm processes as the service has workers, all at once, and does
what a job does: find, encode, draw, save. Both sides take turns on the same pictures. The client is
one process that uploads over one connection from a thread and listens on the websocket; what it
takes of the processors is shown too.

Processor time is measured beside the rates: it hardly depends on what else the machine does.

`--only memory` sends images of mixed sizes and shows what the pool and its workers keep.
"""

import argparse
import io
import multiprocessing
import os
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from multiprocessing.synchronize import Barrier
from pathlib import Path
from threading import Semaphore, Thread
from typing import Final

from websockets.sync.client import connect

from benchmarks.report import Figure, show
from benchmarks.service import SIZES, jpeg, through_service, unlike
from benchmarks.uploader import Uploader, form
from faceengine import Detector
from tests.support import image_factories
from tests.support.postgres_server import PostgresServer
from tests.support.stack import Stack
from wire import environment

GOALS: Final = {
    ("hog", "640x480, 1 face"): "≥ 0.80",
    ("hog", "1920x1080, 2 faces"): "≥ 0.90",
    ("yunet", "640x480, 1 face"): "≥ 0.60",
}
_SIZES: Final = ("640x480, 1 face", "1920x1080, 2 faces")

_AHEAD: Final = 64
"""Images that wait at most while memory is measured: the service refuses clients that send more."""

_fork = multiprocessing.get_context("fork")


def cpu_s(stack: Stack) -> dict[str, float]:
    """Processor seconds of each part of the service so far."""
    groups = {process.name: process.members() for process in stack.processes()}
    groups["redis"] = [stack.redis.pid]
    groups["the client"] = [os.getpid()]
    return {name: sum(map(process_cpu_s, pids)) for name, pids in groups.items()}


def process_cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


def engine_cpu_s(picture: bytes, count: int, detector: Detector) -> float:
    """Processor seconds of the engine for one picture."""
    _analyse(picture, detector)
    started = time.process_time()
    for _ in range(count):
        _analyse(picture, detector)
    return (time.process_time() - started) / count


def engine_rate(picture: bytes, detector: Detector, *, processes: int, count: int) -> float:
    """Images a second of `processes` warm ones together."""
    barrier = _fork.Barrier(processes + 1)
    children = [
        _fork.Process(target=_run_engine, args=(picture, detector, count // processes, barrier))
        for _ in range(processes)
    ]
    for child in children:
        child.start()
    barrier.wait()
    started = time.monotonic()
    for child in children:
        child.join()
    return count // processes * processes / (time.monotonic() - started)


def _run_engine(picture: bytes, detector: Detector, count: int, barrier: Barrier) -> None:
    _analyse(picture, detector)  # warm
    barrier.wait()
    for _ in range(count):
        _analyse(picture, detector)


def _analyse(picture: bytes, detector: Detector) -> bytes:
    import faceengine

    faces = faceengine.find_faces(io.BytesIO(picture), detector)
    return jpeg(faceengine.draw_boxes(faceengine.load_image(picture), faces))


def figures(
    stack: Stack, detector: Detector, *, workers: int, count: int, rounds: int
) -> Iterator[Figure]:
    """For each size the service, the engine, and one divided by the other."""
    for size in _SIZES:
        picture = jpeg(SIZES[size]())
        ours, alone = [], []
        used: Counter[str] = Counter()
        for _ in range(rounds):
            files = [unlike(picture) for _ in range(count)]
            before = cpu_s(stack)
            ours.append(through_service(stack, files))
            used.update({name: s - before[name] for name, s in cpu_s(stack).items()})
            alone.append(engine_rate(picture, detector, processes=workers, count=count))
        rate, engine = statistics.median(ours), statistics.median(alone)
        yield Figure(f"{size}: through the service", rate, "images/s")
        yield Figure(f"{size}: the engine, {workers} processes", engine, "images/s")
        goal = GOALS.get((detector, size), "")
        yield Figure(f"{size}: share of the engine", rate / engine, "", goal)
        whole = sum(used.values())
        for name, seconds in used.items():
            note = f"processor; {100 * seconds / whole:.0f} % of all"
            yield Figure(f"{size}: {name}", 1000 * seconds / (rounds * count), "ms", "", note)
        cpu = engine_cpu_s(picture, count, detector) * rounds * count
        yield Figure(f"{size}: share by processor", cpu / (whole - used["the client"]), "")


def memory(stack: Stack, count: int) -> Iterator[Figure]:
    """What the pool and its workers keep, in ten steps: their shares, shared pages counted once."""
    pictures = [
        *[jpeg(image_factories.canvas(250, 250, "obama.jpg", share=1.0))] * 7,
        *[jpeg(SIZES["640x480, 1 face"]())] * 2,
        jpeg(image_factories.canvas(1280, 960, "obama.jpg", "biden.jpg")),
    ]
    began, kept = time.monotonic(), []
    for step in range(10):
        files = [unlike(pictures[n % len(pictures)]) for n in range(count // 10)]
        _send_in_step(stack, files)
        kept.append(_kept_mb(stack.pool.members()))
        done = (step + 1) * (count // 10)
        note = f"after {time.monotonic() - began:.0f} s"
        yield Figure(f"memory of pool and workers after {done:,} images", kept[-1], "MB", "", note)
    yield Figure("…the last beside the second", kept[-1] / kept[1], "×", "≤ 1.1")


def _send_in_step(stack: Stack, files: list[bytes]) -> None:
    """Upload `files`, no more than a few ahead of the events."""
    ahead = Semaphore(_AHEAD)
    with (
        connect(stack.listen_url(), proxy=None) as socket,
        Uploader(stack.nginx_port) as uploader,
    ):

        def send() -> None:
            for file in files:
                ahead.acquire()
                uploader.post(form(file))

        uploads = Thread(target=send)
        uploads.start()
        for _ in files:
            socket.recv(timeout=60)
            ahead.release()
        uploads.join()


def _kept_mb(pids: list[int]) -> float:
    rollups = (Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in pids)
    return sum(int(each.split("\nPss:")[1].split()[0]) for each in rollups) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description="the job path beside the engine alone")
    parser.add_argument("--images", type=int, default=100, help="of each size and round")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--detector", choices=["hog", "yunet"], default="hog")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--only", choices=["rates", "memory"], default="rates")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    import faceengine

    faceengine.load(options.detector)
    faceengine.keep_memory()  # as a worker does
    defaults = environment.defaults()
    settings = {name: defaults[name] for name in ("FACES_SWEEP_INTERVAL_S", "FACES_RETRY_DELAY_S")}
    settings |= {"FACES_DETECTOR": options.detector, "FACES_UPLOAD_RATE": ""}
    with ExitStack() as rest:
        if options.database == "postgresql":
            server = rest.enter_context(PostgresServer())
            settings["DATABASE_URL"] = server.create_database()
        stack = Stack(nginx=True, workers=options.workers, settings=settings)
        rest.enter_context(stack)
        stack.wait_ended([stack.upload(jpeg(SIZES["640x480, 1 face"]())) for _ in range(4)])
        show(_chosen(stack, options), options.json)


def _chosen(stack: Stack, options: argparse.Namespace) -> Iterator[Figure]:
    if options.only == "memory":
        return memory(stack, options.images)
    return figures(
        stack,
        options.detector,
        workers=options.workers,
        count=options.images,
        rounds=options.rounds,
    )


if __name__ == "__main__":
    main()
