"""Face encodings through the front door: one table.

    python -m benchmarks.encodings [--json FILE] [--images N] [--seconds S] [--only known,new,…]

Starts services of its own on free loopback ports (nginx, one or three backends of two processes,
two workers, Redis, SQLite) and stops them. The load comes from this machine too, over plain
sockets that stay open. Limits of requests a minute are switched off.
"""

import argparse
import hashlib
import json
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Final

import numpy

from benchmarks.report import Figure, percentile, show
from benchmarks.service import jpeg, unlike
from tests.support import image_factories
from tests.support.scaled_stack import ScaledStack

POST: Final = "/generate_face_encoding"
CLIENTS: Final = 8
_UNLIMITED: Final = {
    "FACES_REQUEST_RATE": "",
    "FACES_UPLOAD_RATE": "",
    "FACES_SWEEP_INTERVAL_S": "2",  # the default; tests sweep more often
}


def started(backends: int) -> ScaledStack:
    return ScaledStack(backends=backends, nginx=True, wsservers=1, settings=_UNLIMITED)


def small() -> bytes:
    """A picture of the size that LFW's have: 250×250, one face."""
    return jpeg(image_factories.canvas(250, 250, "obama.jpg", share=1.0))


def post(stack: ScaledStack, image: bytes) -> dict[str, object]:
    answer = stack.request("POST", POST, files={"upload_file": ("a.jpg", image)})
    assert answer.status_code == 200, f"{answer.status_code}: {answer.text[:300]}"
    body: dict[str, object] = answer.json()
    return body


# --- a known hash


def known(images: int, seconds: float) -> Iterator[Figure]:
    """GET /face_encoding/HASH, as fast as eight clients can ask."""
    for backends in (1, 3):
        with started(backends) as stack:
            path = f"/face_encoding/{post(stack, small())['file_hash']}"
            load(stack.nginx_port, path, 1.0)
            times = load(stack.nginx_port, path, seconds)
            what = f"known hash, {backends} backend{'s' * (backends > 1)}"
            yield Figure(f"{what}: answers", len(times) / seconds, "a second")
            yield Figure(f"{what}: p50", percentile(times, 50), "ms")
            yield Figure(f"{what}: p99", percentile(times, 99), "ms")


def load(port: int, path: str, seconds: float) -> list[float]:
    """Milliseconds of each answer to `CLIENTS` clients that ask again at once."""
    ends_at = time.monotonic() + seconds
    with ThreadPoolExecutor(CLIENTS) as pool:
        asked = list(pool.map(lambda _: ask(port, path, ends_at), range(CLIENTS)))
    return [one for each in asked for one in each]


def ask(port: int, path: str, ends_at: float) -> list[float]:
    times = []
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
    connection = socket.create_connection(("127.0.0.1", port))
    while (began := time.monotonic()) < ends_at:
        connection.sendall(request)
        again = read_answer(connection)
        times.append(1000 * (time.monotonic() - began))
        if not again:  # nginx ends a connection after a thousand requests
            connection.close()
            connection = socket.create_connection(("127.0.0.1", port))
    connection.close()
    return times


def read_answer(connection: socket.socket) -> bool:
    """Read one answer of status 200; False if the connection ends with it."""
    data = b""
    while (end := data.find(b"\r\n\r\n")) < 0:
        data += received(connection)
    head = data[:end].lower()
    assert head.startswith(b"http/1.1 200"), data[:300]
    left = int(head.split(b"content-length:")[1].split(b"\r\n")[0]) - (len(data) - end - 4)
    while left > 0:
        left -= len(received(connection))
    return b"connection: close" not in head


def received(connection: socket.socket) -> bytes:
    data = connection.recv(1 << 16)
    assert data, "the connection ended in the middle of an answer"
    return data


# --- new images


def new(images: int, seconds: float) -> Iterator[Figure]:
    """New 250×250 images through the service, and in a bare process, in turn."""
    picture, ours, theirs = small(), [], []
    with started(1) as stack:
        post(stack, unlike(picture))
        for _ in range(3):
            ours.append(through_service(stack, [unlike(picture) for _ in range(images)]))
            theirs.append(bare(picture, images))
        batched = in_batches(stack, [unlike(picture) for _ in range(images)])
    rate, other = statistics.median(ours), statistics.median(theirs)
    yield Figure("new 250×250 images, two workers", rate, "images/s")
    yield Figure("…in batches of 32", batched, "images/s")
    note = f"face_recognition in a bare process: {other:.1f} images/s"
    yield Figure("…beside face_recognition, one by one", rate / other, "×", "≥ 1.7×", note)


def through_service(stack: ScaledStack, files: list[bytes]) -> float:
    began = time.monotonic()
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(lambda file: post(stack, file), files))
    return len(files) / (time.monotonic() - began)


def in_batches(stack: ScaledStack, files: list[bytes]) -> float:
    began = time.monotonic()
    for start in range(0, len(files), 32):
        form = [("upload_file", ("a.jpg", file)) for file in files[start : start + 32]]
        answer = stack.request("POST", "/face_encodings/batch", files=form)
        assert {each["status"] for each in answer.json()["results"]} == {200}, answer.text[:300]
    return len(files) / (time.monotonic() - began)


def bare(picture: bytes, count: int) -> float:
    """Images a second of `face_recognition` in a process that has loaded it."""
    with tempfile.NamedTemporaryFile(suffix=".jpg") as file:
        file.write(picture)
        file.flush()
        command = [sys.executable, "-W", "ignore", "-c", _BARE, file.name, str(count)]
        run = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(run.stdout)


_BARE: Final = """
import sys, time, face_recognition as fr
def once():
    image = fr.load_image_file(sys.argv[1])
    return fr.face_encodings(image, fr.face_locations(image), model="small")
once()
started = time.monotonic()
for _ in range(int(sys.argv[2])):
    assert len(once()) == 1
print(int(sys.argv[2]) / (time.monotonic() - started))
"""


# --- the wait


def wait(images: int, seconds: float) -> Iterator[Figure]:
    """One client, an idle service: what an answer takes above the engine's own time for it."""
    picture, took, above = small(), [], []
    with (
        started(1) as stack,
        closing(HTTPConnection("127.0.0.1", stack.nginx_port)) as connection,
    ):
        for _ in range(images):
            file = unlike(picture)
            took.append(plain_post_ms(connection, file))
            above.append(took[-1] - engine_ms(stack, file))
    yield Figure("new 250×250 image, idle service: p50", percentile(took, 50), "ms")
    note = "from before the request to the whole answer, less the time in the engine"
    yield Figure("…above the engine's own time: p50", percentile(above, 50), "ms", "≤ 12 ms", note)
    yield Figure("…above the engine's own time: p99", percentile(above, 99), "ms")


def plain_post_ms(connection: HTTPConnection, file: bytes) -> float:
    """By a client that takes next to no time itself."""
    field = b'Content-Disposition: form-data; name="upload_file"; filename="a.jpg"'
    body = b"--limit\r\n" + field + b"\r\n\r\n" + file + b"\r\n--limit--\r\n"
    began = time.monotonic()
    connection.request("POST", POST, body, {"Content-Type": "multipart/form-data; boundary=limit"})
    answer = connection.getresponse()
    text = answer.read()
    assert answer.status == 200, text[:300]
    return 1000 * (time.monotonic() - began)


def engine_ms(stack: ScaledStack, file: bytes) -> float:
    sql = "SELECT engine_s FROM analysis_analysis WHERE sha256 = ?"
    (row,) = stack.query(sql, hashlib.sha256(file).hexdigest())
    return 1000 * float(row["engine_s"])


# --- statistics


def read_statistics(images: int, seconds: float) -> Iterator[Figure]:
    """GET /stats/ with more and more images."""
    with started(1) as stack:
        total = 0
        for target in (10, 10_000, 1_000_000):
            total += add_images(stack, target - total)
            times = [stats_ms(stack, total) for _ in range(200)]
            yield Figure(f"statistics of {total:,} images: p50", percentile(times, 50), "ms")


def add_images(stack: ScaledStack, count: int) -> int:
    """The rows of that many posted images."""
    rows = ((f"{time.monotonic_ns()}-{number}", 1) for number in range(count))
    with closing(sqlite3.connect(stack.storage / "db.sqlite3", timeout=30)) as database, database:
        database.executemany(
            "INSERT INTO face_encodings_encodedimage"
            " (owner_id, sha256, analysis_id, created_at, completed_at, faces_count, made_by)"
            " VALUES (1, ?, ?, '2026-01-01', '2026-01-01', 1, 'a benchmark')",
            rows,
        )
        database.execute(
            "INSERT INTO face_encodings_statisticscounter (owner_id, images, sums)"
            " VALUES (1, ?, ?) ON CONFLICT (owner_id) DO UPDATE SET images = images + ?",
            (count, numpy.full(128, count << 28, "<i8").tobytes(), count),
        )
    return count


def stats_ms(stack: ScaledStack, expected: int) -> float:
    began = time.monotonic()
    body = json.loads(stack.get("/stats/").content)
    took = 1000 * (time.monotonic() - began)
    assert body["number_of_images_processed"] == expected, body["number_of_images_processed"]
    return took


PARTS: Final[dict[str, Callable[[int, float], Iterator[Figure]]]] = {
    "known": known,
    "new": new,
    "wait": wait,
    "statistics": read_statistics,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--images", type=int, default=160, help="new images of each measurement")
    parser.add_argument("--seconds", type=float, default=10, help="of load by known hashes")
    parser.add_argument("--only", default=",".join(PARTS), help="parts, separated by commas")
    options = parser.parse_args()
    parts = [PARTS[name] for name in options.only.split(",")]
    show((row for part in parts for row in part(options.images, options.seconds)), options.json)


if __name__ == "__main__":
    main()
