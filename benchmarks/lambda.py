"""The Lambda function beside the seed's way, on the same sources and one core: one table.

    python -m benchmarks.lambda [--json FILE] [--repeat N] [--sources N] [--memory MB]
                                [--gb-second-usd USD] [--request-usd USD]

Ours is the real handler behind the real runtime interface client, in the emulator, held to one
core and, where control groups can be made, to the function's memory. The seed's way is
`face_recognition` in a bare process: download, find, encode, post, one source after the other. Both
ask a server in a process of its own. They run in turn, in processes that are warm; medians.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from benchmarks.report import Figure, show
from lambdaworker.emulator.function import Function
from lambdaworker.emulator.lambdas import Lambda
from tests.support import image_factories

# https://aws.amazon.com/lambda/pricing/, x86, US East, first tier, as known in 2025; look them up.
GB_SECOND_USD: Final = 0.0000166667
REQUEST_USD: Final = 0.20 / 1_000_000
BATCH: Final = 20
VCPU_MB: Final = 1769
"""At so many MB a function has one whole core; with less, its share of one
(https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html)."""

IMAGE: Final = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": "1048576",
    "MALLOC_TRIM_THRESHOLD_": "16777216",
}
"""As the Dockerfile's target sets it: the function's memory depends on it."""

SERVER: Final = """
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
folder = Path(sys.argv[1])
class Requests(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = (folder / self.path.strip("/")).read_bytes()
        self.send_response(200); self.send_header("Content-Length", str(len(body)))
        self.end_headers(); self.wfile.write(body)
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200); self.send_header("Content-Length", "2")
        self.end_headers(); self.wfile.write(b"{}")
    def log_message(self, *a): pass
class Server(ThreadingHTTPServer):
    def handle_error(self, *a): pass
server = Server(("127.0.0.1", 0), Requests)
print(server.server_address[1], flush=True)
server.serve_forever()
"""

SEED: Final = """
import io, json, re, sys, time, urllib.request, warnings
began = time.perf_counter()
warnings.simplefilter("ignore")
import face_recognition
print(json.dumps({"start_ms": (time.perf_counter() - began) * 1e3}), flush=True)
for line in sys.stdin:
    event = json.loads(line)
    began, faces = time.perf_counter(), 0
    for source in event["sources"]:
        with urllib.request.urlopen(source["photo_url"]) as answer:
            image = face_recognition.load_image_file(io.BytesIO(answer.read()))
        encodings = [each.tolist() for each in face_recognition.face_encodings(image)]
        faces += len(encodings)
        url = f"{event['api_url']}/api/facedetection/encodings/{source['type']}/{source['pk']}/"
        body = json.dumps({"token": source["token"], "encodings": encodings}).encode()
        headers = {"Content-Type": "application/json"}
        urllib.request.urlopen(urllib.request.Request(url, body, headers)).read()
    took = (time.perf_counter() - began) * 1e3
    peak = int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024
    print(json.dumps({"ms": took, "peak_mb": peak, "faces": faces}), flush=True)
"""


def write_sources(folder: Path, count: int) -> None:
    """An album as members bring it: of five photos one from a phone as it is, the rest smaller."""
    images = (
        image_factories.twelve_megapixels(),
        image_factories.canvas(1920, 1080),
        image_factories.canvas(2048, 1365, "obama.jpg", "biden.jpg", "obama2.jpg"),
        image_factories.canvas(1280, 853),
        image_factories.canvas(1024, 683, "biden.jpg"),
    )
    files = [image_factories.encoded(image, quality=90) for image in images]
    for number in range(count):
        (folder / f"{number}.jpg").write_bytes(files[number % len(files)])


@contextmanager
def server(folder: Path, core: int) -> Iterator[str]:
    command = on_core(core, [sys.executable, "-c", SERVER, str(folder)])
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.wait()


def on_core(core: int, command: list[str]) -> list[str]:
    return ["taskset", "-c", str(core), *command]


def event(url: str, count: int) -> dict[str, Any]:
    sources = [
        {"pk": n, "type": "photo", "photo_url": f"{url}/{n}.jpg", "token": f"token-{n}"}
        for n in range(count)
    ]
    return {"api_url": url, "sources": sources}


@contextmanager
def memory_group(limit_mb: int) -> Iterator[Path | None]:
    """A control group with so much memory; None where none can be made."""
    for root, limit in (
        ("/sys/fs/cgroup", "memory.max"),
        ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
    ):
        group = Path(root, f"faces-benchmark-{os.getpid()}")
        if not Path(root, "cgroup.procs").exists():
            continue
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            yield group if held(group / limit, limit_mb) else None
        finally:
            empty(group)
        return
    yield None


def held(limit: Path, limit_mb: int) -> bool:
    try:
        limit.write_text(str(limit_mb << 20))
    except OSError:
        return False
    return True


def empty(group: Path) -> None:
    """Remove a group whose processes have been killed; they go in a moment."""
    for _ in range(500):
        try:
            group.rmdir()
            return
        except OSError:
            time.sleep(0.01)
    print(f"left behind: {group}", file=sys.stderr)


def launcher(folder: Path, core: int, group: Path | None) -> Path:
    """What starts Python on one core, in the control group."""
    path = folder / "python"
    join = f"echo $$ > {group / 'cgroup.procs'}\n" if group else ""
    path.write_text(f'#!/bin/sh\n{join}exec taskset -c {core} {sys.executable} "$@"\n')
    path.chmod(0o700)
    return path


def peak_mb(pid: int | None) -> float:
    found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


class Ours:
    """The function in its emulator."""

    def __init__(self, python: Path, memory_mb: int) -> None:
        environment = {"FACES_LOG_LEVEL": "WARNING", **IMAGE}
        environment["FACES_MAX_IMAGE_PIXELS"] = ""  # as on Lambda: by its memory
        self.emulated = Lambda(
            Function(
                memory_mb=memory_mb,
                timeout_s=600,
                instances=1,
                python=str(python),
                environment=environment,
            )
        )

    def run(self, payload: dict[str, Any]) -> float:
        """Milliseconds."""
        began = time.perf_counter()
        _, answer = self.emulated.call(json.dumps(payload).encode())
        took_ms = (time.perf_counter() - began) * 1e3
        assert answer is not None and not answer.error, answer
        assert json.loads(answer.body)["done"] == len(payload["sources"]), answer.body
        return took_ms

    def cold_start_ms(self) -> float:
        self.emulated.instances[0].kill()
        self.emulated.call(b"{}")  # no event, which ends at once
        return self.emulated.instances[0].cold_start_s * 1e3

    @property
    def peak_mb(self) -> float:
        return peak_mb(self.emulated.instances[0].pid)


class Seed:
    """`face_recognition`, one source after the other."""

    def __init__(self, core: int) -> None:
        command = on_core(core, [sys.executable, "-c", SEED])
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen(command, text=True, **pipes)  # type: ignore[call-overload]
        self.start_ms: float = json.loads(self.process.stdout.readline())["start_ms"]
        self.peak_mb = 0.0

    def run(self, payload: dict[str, Any]) -> float:
        self.process.stdin.write(json.dumps(payload) + "\n")
        self.process.stdin.flush()
        said = json.loads(self.process.stdout.readline())
        self.peak_mb = said["peak_mb"]
        return float(said["ms"])

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


def figures(options: argparse.Namespace) -> Iterator[Figure]:
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as name, memory_group(options.memory) as group:
        folder = Path(name)
        write_sources(folder, options.sources)
        ours = Ours(launcher(folder, cores[0], group), options.memory)
        seed = Seed(cores[0])
        try:
            with server(folder, cores[-1]) as url:
                yield from compared(ours, seed, event(url, options.sources), options, group)
        finally:
            ours.emulated.close()
            seed.close()


def compared(
    ours: Ours, seed: Seed, payload: dict[str, Any], options: argparse.Namespace, group: Path | None
) -> Iterator[Figure]:
    colds = [ours.cold_start_ms() for _ in range(options.repeat)]
    for each in (ours, seed):
        each.run({**payload, "sources": payload["sources"][:1]})
    times = [(ours.run(payload), seed.run(payload)) for _ in range(options.repeat)]
    count = len(payload["sources"])
    our_ms, seed_ms = (statistics.median(side) / count for side in zip(*times, strict=True))
    yield Figure("a photo, ours", our_ms, "ms", "", f"{count} sources, one core")
    yield Figure("a photo, face_recognition one by one", seed_ms, "ms")
    yield Figure("times faster", seed_ms / our_ms, "×", "≥ 1.5")
    how = f"held to {options.memory} MB" if group else "not held: no control group"
    yield Figure("peak memory, ours", ours.peak_mb, "MB", f"< {options.memory}", how)
    yield Figure("peak memory, face_recognition", seed.peak_mb, "MB", "", "not held")
    yield Figure("cold start, ours", statistics.median(colds), "ms", "", "to the first request")
    yield Figure("import, face_recognition", seed.start_ms, "ms", "", "without the runtime client")
    yield cost("a thousand photos, ours", our_ms, options)
    yield cost("a thousand photos, face_recognition", seed_ms, options)


def cost(what: str, core_ms: float, options: argparse.Namespace) -> Figure:
    """What Lambda charges, if a photo takes `core_ms` of a whole core."""
    share = min(1.0, options.memory / VCPU_MB)
    seconds = core_ms / 1000 / share * 1000
    gb_seconds = seconds * options.memory / 1024
    requests = 1000 / BATCH
    usd = gb_seconds * options.gb_second_usd + requests * options.request_usd
    note = (
        f"1000 × {core_ms:.0f} ms ÷ {share:.3f} of a core × {options.memory / 1024:g} GB"
        f" = {gb_seconds:,.0f} GB-s × ${options.gb_second_usd:.10f}"
        f" + {requests:.0f} requests × ${options.request_usd:.7f}"
    )
    return Figure(what, usd * 100, "US cents", "", note)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--sources", type=int, default=BATCH)
    parser.add_argument("--memory", type=int, default=512, help="of the function, in MB")
    parser.add_argument("--gb-second-usd", type=float, default=GB_SECOND_USD)
    parser.add_argument("--request-usd", type=float, default=REQUEST_USD)
    options = parser.parse_args()
    show(figures(options), options.json)


if __name__ == "__main__":
    main()
