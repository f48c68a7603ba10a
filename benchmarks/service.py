"""The whole service, as its users meet it: one table.

    python -m benchmarks.service [--json FILE] [--images N] [--only throughput,latency,…]

`TESTS_DETECTOR=yunet` before it has YuNet find the faces, instead of HOG.

Starts its own service on free loopback ports (nginx, gunicorn, two workers, websocket server,
Redis) and stops it. The other side is `face_recognition` in one bare process on the same files,
in turn with ours. Pictures are made unlike each other by a comment, so that nothing is known
already.
"""

import argparse
import io
import itertools
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Final

import requests
from PIL import Image
from websockets.sync.client import connect

from benchmarks import fanout
from benchmarks.fanout import allow_sockets
from benchmarks.report import Figure, percentile, show
from benchmarks.uploader import Uploader, form
from tests.support import image_factories
from tests.support.service_process import parent
from tests.support.stack import Stack, free_ports, wait_until
from wire import environment

SIZES: Final = {
    "640x480, 1 face": lambda: image_factories.canvas(640, 480, "obama.jpg"),
    "1920x1080, 2 faces": lambda: image_factories.canvas(1920, 1080, "obama.jpg", "biden.jpg"),
    "12 megapixels, 2 faces": image_factories.twelve_megapixels,
}
GOALS: Final = {"1920x1080, 2 faces": "≥ 1.7×", "12 megapixels, 2 faces": "≥ 8×"}
ENCODED_GOALS: Final = dict(zip(SIZES, ("≥ 6×", "≥ 7×", "≥ 20×"), strict=True))

_numbers = itertools.count()


def jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def unlike(picture: bytes) -> bytes:
    """The same picture in a file of its own: with a comment (marker COM) of its own."""
    comment = f"picture {next(_numbers)} of {os.getpid()}".encode()
    return picture[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + picture[2:]


def throughput(stack: Stack, count: int) -> Iterator[Figure]:
    """Images a second, from the first upload to the last result, beside a bare process."""
    for name, make in SIZES.items():
        picture = jpeg(make())
        ours, detected, encoded = [], [], []
        for _ in range(3):
            ours.append(through_service(stack, [unlike(picture) for _ in range(count)]))
            detected.append(1 / bare(picture, encode=False))
            encoded.append(1 / bare(picture, encode=True))
        rate = statistics.median(ours)
        yield Figure(f"{name}: through the service", rate, "images/s")
        ratio = rate / statistics.median(detected)
        note = f"face_locations alone: {statistics.median(detected):.2f} images/s"
        yield Figure(f"{name}: beside face_recognition", ratio, "×", GOALS.get(name, ""), note)
        ratio = rate / statistics.median(encoded)
        goal = ENCODED_GOALS[name]
        note = f"locations and encodings: {statistics.median(encoded):.2f} images/s"
        yield Figure(f"{name}: beside it, encodings too", ratio, "×", goal, note)


def through_service(stack: Stack, files: list[bytes]) -> float:
    """Images a second, from the first upload to the last event, by a client that hardly works."""
    bodies = [form(file) for file in files]
    with (
        connect(stack.listen_url(), proxy=None) as socket,
        Uploader(stack.nginx_port) as uploader,
    ):
        uploads = Thread(target=lambda: [uploader.post(body) for body in bodies])
        started = time.monotonic()
        uploads.start()
        for _ in files:
            socket.recv(timeout=120)
        took_s = time.monotonic() - started
        uploads.join()
    return len(files) / took_s


def bare(picture: bytes, *, encode: bool) -> float:
    """Seconds an image in a fresh process that has loaded face_recognition, the median of three."""
    with tempfile.NamedTemporaryFile(suffix=".jpg") as file:
        file.write(picture)
        file.flush()
        code = _BARE.format(encode=encode)
        run = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code, file.name], capture_output=True, text=True
        )
    return float(run.stdout)


_BARE: Final = """
import sys, time, statistics, face_recognition as fr
def once():
    started = time.monotonic()
    image = fr.load_image_file(sys.argv[1])
    places = fr.face_locations(image)
    if {encode}:
        fr.face_encodings(image, places, model="small")
    return time.monotonic() - started
print(statistics.median(once() for _ in range(3)))
"""


def latency(stack: Stack, count: int) -> Iterator[Figure]:
    """An idle service: from before the upload to the event, above the engine's own time."""
    for size, goal in (("640x480, 1 face", "≤ 25 ms"), ("1920x1080, 2 faces", "≤ 100 ms")):
        picture, waits, engine = jpeg(SIZES[size]()), [], []
        with stack.listen() as listener, Uploader(stack.nginx_port) as uploader:
            for _ in range(max(count, 20)):
                body = form(unlike(picture))
                started = time.monotonic()
                listener.wait_for([uploader.upload(body)])
                waits.append(1000 * (time.monotonic() - started))
                engine.append(engine_ms(picture, times=1))
        p50, alone = percentile(waits, 50), statistics.median(engine)
        note = f"the engine alone, file to boxes to JPEG: {alone:.0f} ms, in turn"
        yield Figure(f"idle, {size}: upload to event, p50", p50, "ms", "", note)
        yield Figure(f"idle, {size}: above the engine's own time", p50 - alone, "ms", goal)


def engine_ms(picture: bytes, times: int = 9) -> float:
    """What a worker's engine does with one image, in this process: find, encode, draw, save.

    By HOG, as the service's workers here.
    """
    import faceengine

    faceengine.load()
    faceengine.keep_memory()  # as a worker does

    def once() -> float:
        started = time.monotonic()
        faces = faceengine.find_faces(io.BytesIO(picture))
        jpeg(faceengine.draw_boxes(faceengine.load_image(picture), faces))
        return 1000 * (time.monotonic() - started)

    return statistics.median(once() for _ in range(times))


def posting(stack: Stack, count: int) -> Iterator[Figure]:
    """How long an uploader waits for the 202 while both workers are busy all the time."""
    large = jpeg(SIZES["12 megapixels, 2 faces"]())
    ids = [stack.upload(unlike(large)) for _ in range(4 * count)]
    for name in ("640x480, 1 face", "1920x1080, 2 faces"):
        picture = jpeg(SIZES[name]())
        times = [post_ms(stack, unlike(picture), ids) for _ in range(100)]
        for percent, goal in ((50, "< 25 ms"), (99, "< 100 ms")):
            what = f"POST while workers are busy, {name}: p{percent}"
            yield Figure(what, percentile(times, percent), "ms", goal)
    busy = [row for row in stack.submissions().values() if row["status"] == "queued"]
    assert busy, "the workers ran out of work while it was measured: give --images a larger number"
    stack.wait_ended(ids, timeout_s=600)


def post_ms(stack: Stack, file: bytes, ids: list[str]) -> float:
    started = time.monotonic()
    ids.append(stack.upload(file))
    return 1000 * (time.monotonic() - started)


def memory(stack: Stack, count: int) -> Iterator[Figure]:
    """Peaks of the process that does the job; and all processes of an idle service together."""
    yield Figure("memory of everything at rest", resting_mb(stack), "MB", "", "proportional (PSS)")
    for name, make in (
        ("12-megapixel", image_factories.twelve_megapixels),
        ("100-megapixel", lambda: image_factories.canvas(11_600, 8_640, "obama.jpg", "biden.jpg")),
    ):
        id = stack.upload(unlike(jpeg(make())))
        peak = peak_mb(stack, id)
        yield Figure(f"peak of a worker, {name} image", peak, "MB", "", "resident (VmHWM)")


def peak_mb(stack: Stack, id: str) -> float:
    """The high-water mark of the worker that has the job, read when the job has ended."""
    pid = stack.wait_in_work(id)
    stack.wait_until_ended([id])
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def resting_mb(stack: Stack) -> float:
    """Each process's share of the memory it uses, pages that several share counted once."""
    roots = {process.pid for process in stack.processes()} | {stack.redis.pid}
    total = 0
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal() and _descends(int(folder.name), roots):
            rollup = (folder / "smaps_rollup").read_text()
            total += int(rollup.split("\nPss:")[1].split()[0])
    return total / 1024


def _descends(pid: int | None, roots: set[int]) -> bool:
    while pid:
        if pid in roots:
            return True
        pid = parent(pid)
    return False


def listeners(stack: Stack, count: int) -> Iterator[Figure]:
    """Events to 2,000 listeners, on a Redis and a websocket server of their own."""
    allow_sockets(2000)
    result = fanout.measure(2000, 50, 0.2)
    note = f"{result.missing_frames} frames missing"
    yield Figure("2,000 listeners: the last one has it, p50", result.last_p50_ms, "ms")
    yield Figure("2,000 listeners: …p99", result.last_p99_ms, "ms", "≤ 250 ms", note)


def starting(stack: Stack, count: int) -> Iterator[Figure]:
    """From `make run`, already set up, to a healthy answer; and whether anything is left behind."""
    times = []
    for _ in range(3):
        with tempfile.TemporaryDirectory(prefix="faces-run-") as storage:
            times.append(run_until_healthy(Path(storage)))
    yield Figure("make run, set up already: to a healthy answer", statistics.median(times), "s")


def run_until_healthy(storage: Path) -> float:
    nginx, backend, ws, redis = free_ports(4)
    environ = {
        **os.environ,
        **environment.defaults(),
        "STORAGE_DIR": str(storage),
        "FACES_PORT": str(nginx),
        "FACES_BACKEND_BIND": f"127.0.0.1:{backend}",
        "FACES_WS_BIND": f"127.0.0.1:{ws}",
        "CACHE_BACKEND_URL": f"redis://127.0.0.1:{redis}/0",
        "FACES_START_REDIS": "yes",
        "SERVICE_URL": f"http://localhost:{nginx}",
    }
    started = time.monotonic()
    service = subprocess.Popen(
        ["make", "run"], cwd=environment.ROOT, env=environ, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        wait_until(lambda: _healthy(nginx), "make run answers", 120)
        return time.monotonic() - started
    finally:
        os.killpg(service.pid, signal.SIGINT)
        service.wait(60)


def restarting(stack: Stack, count: int) -> Iterator[Figure]:
    """`make run`: from kill -9 of all web processes to the answer of a request sent right after."""
    from benchmarks.chaos.services import MadeRun, parts

    with MadeRun() as service:
        for what, kinds in (
            ("web processes", ["web"]),
            ("…and of their parent", ["keeper", "web"]),
        ):
            gaps = []
            for _ in range(5):
                struck = parts(service)
                for pid in (pid for kind in kinds for pid in struck[kind]):
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                gaps.append(_answered_after_s(service.url))
                time.sleep(2)  # a supervisor's pauses grow when a process ends at once
            note = f"longest of five: {max(gaps):.2f}"
            yield Figure(f"kill -9 of all {what}: gap", statistics.median(gaps), "s", "≤ 1 s", note)


def _answered_after_s(url: str) -> float:
    started = time.monotonic()

    def answers() -> bool:
        with suppress(requests.RequestException):
            return requests.get(f"{url}/client/", timeout=30).status_code == 200
        return False

    wait_until(answers, "the service answers", 60)
    return time.monotonic() - started


def _healthy(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/readiness/", timeout=2).status_code == 200
    except requests.RequestException:
        return False


PARTS: Final[dict[str, Callable[[Stack, int], Iterator[Figure]]]] = {
    "memory": memory,
    "latency": latency,
    "posting": posting,
    "throughput": throughput,
    "listeners": listeners,
    "starting": starting,
    "restarting": restarting,
}


def main() -> None:
    parser = argparse.ArgumentParser(description="the whole service, measured from outside")
    parser.add_argument("--images", type=int, default=20, help="uploads of each size and round")
    parser.add_argument("--only", default=",".join(PARTS), help="parts, separated by commas")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    # The pace of tests would make the sweep work harder than it does.
    defaults = environment.defaults()
    settings = {name: defaults[name] for name in ("FACES_SWEEP_INTERVAL_S", "FACES_RETRY_DELAY_S")}
    with Stack(nginx=True, workers=2, settings=settings) as stack:
        stack.wait_ended([stack.upload(jpeg(image_factories.portrait()))])
        parts = (PARTS[name](stack, options.images) for name in options.only.split(","))
        show(itertools.chain.from_iterable(parts), options.json)


if __name__ == "__main__":
    main()
