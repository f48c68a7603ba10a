"""A rolling upgrade under load, and back: which requests fail, and for how long.

    python -m benchmarks.rolling [--from REVISION] [--rate IMAGES_A_SECOND] [--json FILE]

Two backends behind one nginx, workers and a websocket server run the code of REVISION of this
repository on PostgreSQL; then, in the order of docs/running.md, the database is migrated and each
is replaced by this checkout's, and after that by the old one again, without a migration. Meanwhile
images are uploaded, their status is read, and a listener follows the events. The exit code is 1 if
anything failed, was lost or not published.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Final

from benchmarks.chaos.clients import ACCEPTED, Listener, Reads, Uploads, resources
from benchmarks.report import Figure, show_and_exit
from tests.support.postgres_server import PostgresServer
from tests.support.scaled_stack import ScaledStack
from tests.support.service_process import ServiceProcess
from tests.support.stack import ENDED, wait_until
from tools.shell import ROOT

_BETWEEN_S: Final = 3.0
"""Before and after each step, so that its load is seen."""
_BUILT: Final = "faceengine/hog/_build"


class Rolling(ScaledStack):
    """Two backends, whose processes run the code at `code` from their next making on."""

    def __init__(self, code: Path, **options: Any) -> None:
        super().__init__(backends=2, nginx=True, **options)
        self.code = code

    def migrate(self) -> None:
        """Bring the database up to date with `code`."""
        command = [sys.executable, "-m", "tools.migrate"]
        subprocess.run(command, cwd=self.code, env=self.environ, check=True, capture_output=True)

    def replace(self, process: ServiceProcess) -> None:
        """End the process in order, and start it with `code`; waits until it answers."""
        process.stop()
        process.cwd = self.code
        process.start()
        self.wait_ready()

    def _prepare(self) -> None:
        self.database_url = self._settings["DATABASE_URL"]
        self.migrate()

    def _process(
        self, name: str, command: list[str], stop_signal: str, **environ: str
    ) -> ServiceProcess:
        made = super()._process(name, command, stop_signal, **environ)
        made.cwd = self.code
        return made


def checked_out(revision: str, folder: Path) -> Path:
    """The files of that revision, with what was built or converted in this checkout."""
    archive = subprocess.run(
        ["git", "archive", revision], cwd=ROOT, check=True, capture_output=True
    )
    folder.mkdir()
    subprocess.run(["tar", "-x"], cwd=folder, input=archive.stdout, check=True)
    shutil.copytree(ROOT / _BUILT, folder / _BUILT)
    (folder / ".cache").symlink_to(ROOT / ".cache")
    return folder


def upgrade(stack: Rolling, uploads: Uploads, code: Path, *, migrates: bool) -> Iterator[Figure]:
    """Every step, and how long it took."""
    stack.code = code
    steps = {"migrate": stack.migrate} if migrates else {}
    steps |= {
        process.name: partial(stack.replace, process)
        for process in (stack.pool, *stack.more_web, stack.web, *stack.wsservers)
    }
    for name, step in steps.items():
        time.sleep(_BETWEEN_S)
        uploads.fault = f"{name} → {code.name}"
        began = time.monotonic()
        step()
        yield Figure(f"  {uploads.fault}", time.monotonic() - began, "s")
    time.sleep(_BETWEEN_S)


def run(options: argparse.Namespace) -> Iterator[Figure]:
    with ExitStack() as exits:
        folder = Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="faces-old-")))
        old = checked_out(options.revision, folder / options.revision.replace("/", "-"))
        database = exits.enter_context(PostgresServer()).create_database()
        settings = {"DATABASE_URL": database}
        stack = exits.enter_context(Rolling(old, settings=settings))
        listener = Listener(stack.url)
        exits.callback(listener.close)
        uploads = Uploads(stack.url, seed=1, rate=options.rate)
        reads = Reads(stack.url, uploads, rate=options.rate)
        yield from upgrade(stack, uploads, ROOT, migrates=True)
        yield from upgrade(stack, uploads, old, migrates=False)
        uploads.stop()
        reads.stop()
        for name, clients, good in (("uploads", uploads, ACCEPTED), ("reads", reads, 200)):
            sent = clients.answers.total()
            yield Figure(name, sent, "")
            failed = sent - clients.answers[str(good)]
            yield Figure(f"{name} that failed", failed, "", "0", str(dict(clients.during) or ""))
        yield Figure("longest wait for a 202", max(uploads.waits_s), "s")
        yield from _outcomes(stack, uploads, listener)


def _outcomes(stack: Rolling, uploads: Uploads, listener: Listener) -> Iterator[Figure]:
    ids = set(uploads.accepted)
    wait_until(
        lambda: all(row["status"] in ENDED for row in stack.submissions().values()), "all end", 300
    )
    found = resources(stack.url, ids)
    wrong = [
        id for id, each in found.items() if not each or each["faces_count"] != uploads.accepted[id]
    ]
    yield Figure("lost or wrong", len(wrong), "", "0")
    yield Figure("not published", len(listener.wait_for(ids, 60)), "", "0")
    yield Figure("published again", sum(listener.published[id] > 1 for id in ids), "", "0")


def main() -> None:
    parser = argparse.ArgumentParser(description="a rolling upgrade under load, and back")
    parser.add_argument("--from", dest="revision", default="HEAD", help="what runs before")
    parser.add_argument("--rate", type=float, default=5, help="uploads a second, and reads")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    show_and_exit(run(options), options.json)


if __name__ == "__main__":
    main()
