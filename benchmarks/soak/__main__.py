"""The service under load for as long as it is asked to: does anything grow?

    python -m benchmarks.soak [--minutes N] [--rate IMAGES_A_SECOND] [--json FILE]

With `--json` it also writes each measured row (FILE.rows.json) and their plot (FILE.svg).

`make run`'s service gets images of mixed sizes at `--rate`, by default at 80 % of what it did in a
trial at the start. Meanwhile listeners come and go, API keys are made and revoked, an album is
imported and erased, and what ended is deleted. Every figure is shown as it was in the second and
in the last fifth of the time; the exit code is 1 if one grew, or an upload was refused.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Final

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from benchmarks.chaos.clients import ACCEPTED, Listener, Picture, Uploads
from benchmarks.chaos.services import MadeRun
from benchmarks.report import Figure, show_and_exit
from benchmarks.service import SIZES, jpeg
from benchmarks.soak.measures import Latencies, Row, draw, grown, row
from tests.support import samples
from tests.support.stack import local_session
from tools.shell import ROOT

_TRIAL: Final = 60
_SHARE: Final = 0.8
_KEPT_S: Final = 60.0
"""How long an image is kept after it ended."""
_SETTLE_S: Final = 600.0
_ALBUM: Final = 3
_ERASE: Final = (
    "from backend.photos.albums import service; from backend.photos.models import Album;"
    " [service.erase_album(album) for album in Album.objects.all()]"
)


def pictures() -> list[Picture]:
    """Most are small; the others are what a phone or a camera sends."""
    vga, full = (jpeg(SIZES[name]()) for name in list(SIZES)[:2])
    return [
        (1, samples.face, 4),
        (0, samples.no_face, 3),
        (1, lambda: vga, 4),
        (2, lambda: full, 1),
    ]


class Soak:
    """Everything that goes on beside the uploads, each in a thread of its own."""

    def __init__(self, service: MadeRun, listener: Listener) -> None:
        self._service: Final = service
        self._listener: Final = listener
        self._is_over: Final = Event()
        self._choice: Final = random.Random(1)
        self._deleted: Final = set[str]()
        self.errors: Final[list[str]] = []
        jobs = (self._come_and_go, self._use_keys, self._use_albums, self._delete, self._retain)
        self._threads: Final = [Thread(target=self._repeat, args=[job]) for job in jobs]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """End all of it, each after its turn."""
        self._is_over.set()
        for thread in self._threads:
            thread.join()

    def _repeat(self, job: Callable[[], None]) -> None:
        while not self._is_over.is_set():
            try:
                job()
            except (OSError, subprocess.CalledProcessError, AssertionError) as error:
                self.errors.append(f"{job.__name__}: {error}")
                self._is_over.wait(5)

    def _come_and_go(self) -> None:
        url = self._service.url.replace("http:", "ws:") + "/faces?outcomes=all"
        with suppress(WebSocketException), connect(url, proxy=None) as socket:
            until = time.monotonic() + self._choice.uniform(0.1, 10)
            while time.monotonic() < until and not self._is_over.is_set():
                with suppress(TimeoutError):
                    socket.recv(timeout=0.5)

    def _use_keys(self) -> None:
        printed = self._manage("create_api_key", "soak")
        prefix = next(word for word in printed.split() if "." in word).partition(".")[0]
        self._is_over.wait(20)
        self._manage("revoke_api_key", prefix)
        self._manage("erase_client", "soak", "--yes")

    def _use_albums(self) -> None:
        with tempfile.NamedTemporaryFile(suffix=".zip") as file:
            with zipfile.ZipFile(file, "w") as archive:
                for number in range(_ALBUM):
                    photo = samples.another(samples.face(), self._choice.getrandbits(60))
                    archive.writestr(f"{number}.jpg", photo)
            file.flush()
            self._manage("import_album", file.name, "--title", "soak")
        self._is_over.wait(20)
        self._manage("shell", "-c", _ERASE)

    def _delete(self) -> None:
        """Delete the images that ended a while ago, as a client that needs them no more."""
        ended = set(self._listener.published) - self._deleted
        self._is_over.wait(_KEPT_S)
        with local_session() as session:
            for id in ended:
                answer = session.delete(f"{self._service.url}/image/{id}/", timeout=30)
                assert answer.status_code in (204, 404), answer.text
                self._deleted.add(id)

    def _retain(self) -> None:
        self._manage("delete_old_submissions")
        self._is_over.wait(45)

    def _manage(self, *arguments: str) -> str:
        command = [sys.executable, "manage.py", *arguments]
        environ = {**self._service.environ, "DJANGO_SETTINGS_MODULE": "backend.settings"}
        # In a session of its own: that of a process with the service's mark is ended with it.
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=environ,
            capture_output=True,
            text=True,
            start_new_session=True,
        )
        assert done.returncode == 0, f"{arguments[0]}: {done.stderr[-300:]}"
        return done.stdout


def trial(service: MadeRun, listener: Listener) -> float:
    """Images a second that the service ends when all of them come at once."""
    began = time.monotonic()
    uploads = Uploads(service.url, seed=0, rate=100, pictures=pictures())
    while len(uploads.accepted) < _TRIAL:
        time.sleep(0.05)
    uploads.stop()
    assert not listener.wait_for(set(uploads.accepted), 600), "the trial's images do not end"
    return len(uploads.accepted) / (time.monotonic() - began)


def measure(service: MadeRun, minutes: float, latencies: Latencies) -> Iterator[Row]:
    """A row about every fiftieth of the time."""
    began = time.monotonic()
    while (now_s := time.monotonic() - began) < 60 * minutes:
        yield {"minute": now_s / 60, **row(service), **latencies.row()}
        time.sleep(min(60.0, max(1.0, 60 * minutes / 50)))


def run(options: argparse.Namespace) -> Iterator[Figure]:
    with ExitStack() as stack:
        workers = str(len(os.sched_getaffinity(0)))
        service = stack.enter_context(MadeRun(FACES_WORKERS=workers))
        listener = Listener(service.url)
        stack.callback(listener.close)
        rate = options.rate or _SHARE * trial(service, listener)
        yield Figure("load", rate, "images/s", "", f"{options.minutes:g} minutes")
        uploads = Uploads(service.url, seed=1, rate=rate, pictures=pictures())
        soak = Soak(service, listener)
        rows = []
        for each in measure(service, options.minutes, Latencies(uploads, listener)):
            rows.append(each)
            if options.json:
                options.json.with_suffix(".rows.json").write_text(json.dumps(rows))
                draw(rows, options.json.with_suffix(".svg"))
        soak.close()
        uploads.stop()
        missing = listener.wait_for(set(uploads.accepted), _SETTLE_S)
        sent = uploads.answers.total()
        yield Figure("uploads", sent, "")
        yield Figure(
            "refused", sent - uploads.answers[str(ACCEPTED)], "", "0", str(dict(uploads.answers))
        )
        again = sum(listener.published[id] > 1 for id in uploads.accepted)
        yield Figure("not published", len(missing), "", "0")
        yield Figure("published more than once", again, "", "0")
        yield Figure("other errors", len(soak.errors), "", "0", "; ".join(soak.errors[:3]))
        compared = list(grown(rows))
        for name, early, late, has_grown in compared:
            yield Figure(
                name, late, "", "", f"{early:.1f} before" + (", GREW" if has_grown else "")
            )
        yield Figure("figures that grew", sum(each[-1] for each in compared), "", "0")


def main() -> None:
    parser = argparse.ArgumentParser(description="the service under load: does anything grow?")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--rate", type=float, default=0, help="images a second (default: 80 %%)")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    show_and_exit(run(options), options.json)


if __name__ == "__main__":
    main()
