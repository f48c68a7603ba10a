"""Where an image's milliseconds go, and what turns of clients cost: processor time in one process.

    python -m benchmarks.job_steps [--json FILE] [--images N] [--rows N] [--detector hog|yunet]

A web process's application and a worker run one after the other in this process, on a Redis, a
SQLite (a PostgreSQL, where DATABASE_URL names an empty one) and a folder of their own. Named
functions are timed; a function's time is its own without that of the others in the table.
"""

import argparse
import functools
import importlib
import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

from benchmarks.report import Figure, show
from benchmarks.service import SIZES, jpeg, unlike
from faceengine import Detector
from tests.support.redis_server import RedisServer
from wire import environment

_SIZES: Final = ("640x480, 1 face", "1920x1080, 2 faces")

_STEPS: Final = {
    "accept: the rest": "backend.wsgi.application",
    "accept: check that it decodes": "backend.analysis.services.check_image",
    "accept: rates": "rest_framework.views.APIView.check_throttles",
    "accept: store the file": "backend.submissions.services._store",
    "accept: enqueue": "backend.common.jobs.queues.enqueue",
    "queue: take and end the entry": "backend.common.jobs.worker.Worker._run_from_queue",
    "job: the rest": "backend.common.jobs.runner.run_next",
    "claim the row": "backend.common.jobs.fair_shares.claim",
    "claim the analysis": "backend.analysis.compute._claim",
    "decode": "faceengine.engine.open_photo",
    "detect": "faceengine.detection.detector.detect",
    "align, measure": "faceengine.engine.find_faces",
    "encode": "faceengine.encoding.encode",
    "record the analysis, its faces": "backend.analysis.compute._record",
    "draw, encode the JPEG": "backend.analysis.services.draw",
    "store the picture": "backend.submissions.services._save_result",
    "publish": "backend.submissions.events.publish",
    "metrics": "backend.common.metrics.registry._send",
}

_times: Final[defaultdict[str, float]] = defaultdict(float)
_inner: Final[list[float]] = []


def _timed(step: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        started = time.process_time()
        _inner.append(0.0)
        try:
            return function(*args, **kwargs)
        finally:
            took = time.process_time() - started
            _times[step] += took - _inner.pop()
            if _inner:
                _inner[-1] += took

    return call


def _time_steps() -> None:
    for step, path in _STEPS.items():
        place, _, name = path.rpartition(".")
        try:
            owner: Any = importlib.import_module(place)
        except ImportError:
            module, _, kind = place.rpartition(".")
            owner = getattr(importlib.import_module(module), kind)
        setattr(owner, name, _timed(step, getattr(owner, name)))


def steps(count: int, detector: Detector) -> Iterator[Figure]:
    """For each size the processor time of each step of an image, and the engine's share."""
    from backend.common.jobs.worker import Worker

    _time_steps()
    worker = Worker("benchmark", SimpleNamespace(value=0.0))
    for size in _SIZES:
        picture = jpeg(SIZES[size]())
        for number in (3, count):
            _times.clear()
            for _ in range(number):
                _upload(unlike(picture))
            for _ in range(number):
                worker.run_next()
        for step in _STEPS:
            yield Figure(f"{size}: {step}", 1000 * _times[step] / count, "ms")
        ours, alone = sum(_times.values()) / count, _engine_s(picture, count, detector)
        yield Figure(f"{size}: all", 1000 * ours, "ms", "", f"the engine alone: {1000 * alone:.1f}")
        yield Figure(f"{size}: the engine's share of the processor", alone / ours, "")


def _engine_s(picture: bytes, count: int, detector: Detector) -> float:
    import faceengine

    started = time.process_time()
    for _ in range(count):
        faces = faceengine.find_faces(io.BytesIO(picture), detector)
        jpeg(faceengine.draw_boxes(faceengine.load_image(picture), faces))
    return (time.process_time() - started) / count


def _upload(file: bytes) -> None:
    from backend import wsgi

    head = (
        b'--BB\r\nContent-Disposition: form-data; name="image"; filename="image.jpg"\r\n'
        b"Content-Type: image/jpeg\r\n\r\n"
    )
    body = head + file + b"\r\n--BB--\r\n"
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/image/",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "8282",
        "HTTP_HOST": "localhost:8282",
        "HTTP_X_REAL_IP": "127.0.0.1",
        # It becomes the submission's id, and its first digits the folder, which is there already as
        # in a store that is some days old. To make one costs 1 ms.
        "HTTP_X_REQUEST_ID": "0000" + uuid.uuid4().hex[4:],
        "CONTENT_TYPE": "multipart/form-data; boundary=BB",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.url_scheme": "http",
    }
    statuses: list[str] = []

    def start(status: str, *_: object) -> Callable[[bytes], object]:
        statuses.append(status)
        return lambda _: None

    answer = wsgi.application(environ, start)
    list(answer)
    answer.close()
    assert statuses[0].startswith("202"), statuses


def turns(rows: int) -> Iterator[Figure]:
    """Beside the backlogs of some clients: when a fresh upload is done, and what a turn costs."""
    from backend.clients.models import Client
    from backend.common.jobs import fair_shares, runner
    from backend.submissions.models import Submission

    for clients in (2, 50):
        Submission.objects.all().delete()
        fair_shares._last.clear()
        owners = [Client.objects.create(name=f"{clients}-{n}").pk for n in range(clients)]
        for owner in owners[:-1]:
            _wait(owner, rows // (clients - 1))
        done: list[int] = []

        def do(row: Submission, done: list[int] = done) -> None:
            done.append(row.owner_id)
            row.succeed()

        waits = []
        for _ in range(20):
            _wait(owners[-1], 1)
            done.clear()
            while owners[-1] not in done:
                runner.run_next(Submission, do)
            waits.append(len(done))
        what = f"{clients} clients, {rows:,} rows wait: a fresh upload is number"
        yield Figure(what, statistics.median(waits), "", "", f"at most {max(waits)}")
        started = time.process_time()
        for _ in range(200):
            fair_shares.claim(Submission)
        took = (time.process_time() - started) / 200
        yield Figure(f"{clients} clients, {rows:,} rows wait: a turn", 1000 * took, "ms")


def _wait(owner: int, count: int) -> None:
    from django.utils import timezone

    from backend.submissions.models import Submission

    due = timezone.now() - timedelta(hours=1)
    Submission.objects.bulk_create(
        [
            Submission(owner_id=owner, sha256="", size_bytes=1, due_at=due + timedelta(seconds=n))
            for n in range(count)
        ],
        batch_size=1000,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="the steps of a job, and turns of clients")
    parser.add_argument("--images", type=int, default=60, help="of each size")
    parser.add_argument("--rows", type=int, default=20_000, help="that wait while turns are timed")
    parser.add_argument("--detector", choices=["hog", "yunet"], default="hog")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    redis = RedisServer()
    with tempfile.TemporaryDirectory(prefix="faces-steps-") as storage:
        try:
            redis.start()
            _set_up(storage, redis.url, options.detector)
            show((figure for part in _parts(options) for figure in part), options.json)
        finally:
            redis.close()


def _parts(options: argparse.Namespace) -> Iterator[Iterator[Figure]]:
    yield steps(options.images, options.detector)
    yield turns(options.rows)


def _set_up(storage: str, redis_url: str, detector: Detector) -> None:
    os.environ.update(
        {
            **environment.defaults(),
            "DATABASE_URL": os.environ.get("DATABASE_URL", ""),
            "STORAGE_DIR": storage,
            "CACHE_BACKEND_URL": redis_url,
            "FACES_START_REDIS": "no",
            "FACES_DETECTOR": detector,
            "DJANGO_SETTINGS_MODULE": "backend.settings",
        }
    )
    subprocess.run([sys.executable, "-m", "tools.migrate"], check=True, stdout=subprocess.DEVNULL)
    import django

    django.setup()
    from backend.analysis import services

    services.load_engine()


if __name__ == "__main__":
    main()
