"""Faults by random choice while images come in: none accepted may be lost, wrong or unpublished.

    python -m benchmarks.chaos [--faults N] [--seed N] [--database sqlite|postgresql]
                               [--backends N] [--s3] [--rate IMAGES_A_SECOND] [--json FILE]

Kill -9 and SIGSTOP of each kind of process, Redis emptied, a full disk (where this user may mount
one), PostgreSQL restarted and gone, S3 frozen; with `--backends 2` also whole backends killed.
With one backend it is the service of `make run`, with its supervisor. The seed decides the order of
faults; what they hit depends on the moment. The exit code is 1 if anything was lost or wrong.
"""

import argparse
import random
import secrets
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from backend.common.tests.bucket import SETTINGS as S3_SETTINGS
from benchmarks.chaos import services
from benchmarks.chaos.clients import ACCEPTED, Listener, Reads, Uploads, resources
from benchmarks.chaos.faults import FULL_DISK, Faults
from benchmarks.report import Figure, show_and_exit
from tests.support.postgres_server import PostgresServer

_DISK_MIB: Final = 512
_BETWEEN_S: Final = (0.2, 1.0)
_SETTLE_S: Final = 300.0
_ENDED: Final = ("done", "failed")
_SHOWN: Final = 8


def main() -> None:
    options = _options()
    print(f"seed {options.seed}", flush=True)
    with ExitStack() as stack:
        postgresql = None
        settings = dict(services.SETTINGS)
        if options.database == "postgresql":
            postgresql = stack.enter_context(PostgresServer())
            settings["DATABASE_URL"] = postgresql.create_database()
        bucket_pid = 0
        if options.s3:
            bucket_pid, url = services.bucket(stack)
            settings |= {**S3_SETTINGS, "AWS_ENDPOINT_URL_S3": url, "NO_PROXY": "127.0.0.1"}
        service, disk = _service(stack, options.backends, settings)
        faults = Faults(
            service,
            random.Random(options.seed),
            postgresql=postgresql,
            bucket_pid=bucket_pid,
            disk=disk,
        )
        figures = list(_run(service, faults, options))
    show_and_exit(figures, options.json)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="faults by random choice while images come in")
    parser.add_argument("--faults", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--backends", type=int, default=1)
    parser.add_argument("--s3", action="store_true", help="images in a bucket")
    parser.add_argument("--rate", type=float, default=5, help="uploads a second")
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args()


def _service(
    stack: ExitStack, backends: int, settings: dict[str, str]
) -> tuple[services.Service, Path | None]:
    """The running service, and the folder of its small disk if it has one."""
    if backends > 1:
        return stack.enter_context(services.Scaled(backends=backends, settings=settings)), None
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="faces-chaos-")))
    is_small = stack.enter_context(services.small_disk(folder, _DISK_MIB))
    # A name without blanks: it is in the address of Redis too.
    service = services.MadeRun(storage=folder / "storage", **settings, FACES_WORKERS="2")
    return stack.enter_context(service), folder if is_small else None


def _run(
    service: services.Service, faults: Faults, options: argparse.Namespace
) -> Iterator[Figure]:
    choice = random.Random(options.seed + 1)
    struck = Counter[str]()
    listener = Listener(service.url)
    uploads = Uploads(service.url, seed=options.seed, rate=options.rate)
    reads = Reads(service.url, uploads, rate=options.rate)
    began = time.monotonic()
    for number in range(options.faults):
        time.sleep(choice.uniform(*_BETWEEN_S))
        uploads.fault = choice.choice(list(faults.all))
        faults.all[uploads.fault]()
        struck[uploads.fault] += 1
        if number % 50 == 49:
            print(f"{number + 1} faults, {dict(uploads.answers)}", flush=True)
    uploads.stop()
    reads.stop()
    took_s = time.monotonic() - began
    yield Figure("faults", options.faults, "", "", f"in {took_s:.0f} s, seed {options.seed}")
    for name, count in sorted(struck.items()):
        yield Figure(f"  {name}", count, "")
    yield from _served("uploads", uploads, ACCEPTED)
    yield from _served("reads", reads, 200)
    unclear = +uploads.unclear
    yield Figure("refused without a reason or Retry-After", unclear.total(), "", "0", str(unclear))
    yield from _outcomes(service, uploads, listener)
    listener.close()


def _served(what: str, clients: Uploads | Reads, good: int) -> Iterator[Figure]:
    sent = clients.answers.total()
    yield Figure(f"{what} sent", sent, "")
    yield Figure(f"{what}: served", 100 * clients.answers[str(good)] / sent, "%", "≥ 95")
    on_full_disk = sum(n for moment, n in clients.during.items() if moment.endswith(FULL_DISK))
    served = 100 * clients.answers[str(good)] / (sent - on_full_disk)
    yield Figure(f"{what}: served while the disk had room", served, "%", "≥ 95")
    for answer, count in clients.answers.most_common():
        yield Figure(f"  {what}: {answer}", count, "")
    for moment, count in clients.during.most_common(_SHOWN):
        yield Figure(f"  {moment}", count, "")


def _outcomes(service: services.Service, uploads: Uploads, listener: Listener) -> Iterator[Figure]:
    found = _when_ended(service, set(uploads.accepted))
    states = Counter((each or {"status": "lost"})["status"] for each in found.values())
    yield Figure("accepted", len(found), "", "", ", ".join(f"{n} {s}" for s, n in states.items()))
    yield Figure("lost", states["lost"], "", "0")
    yield Figure("not ended", len(found) - sum(states[s] for s in (*_ENDED, "lost")), "", "0")
    wrong = [each for id, each in found.items() if each and _is_wrong(each, uploads.accepted[id])]
    reasons = Counter(str(each.get("reason") or "number of faces") for each in wrong)
    yield Figure("failed or wrong", len(wrong), "", "0", str(dict(reasons) or ""))
    missing = listener.wait_for(set(found), _SETTLE_S / 5)
    yield Figure("not published", len(missing), "", "0")
    repeated = sum(count > 1 for count in listener.published.values())
    yield Figure("published again", repeated, "", "", "after Redis lost its stream")


def _when_ended(service: services.Service, ids: set[str]) -> dict[str, dict[str, Any] | None]:
    deadline = time.monotonic() + _SETTLE_S
    found: dict[str, dict[str, Any] | None] = {}
    while waiting := ids - {id for id, each in found.items() if each and each["status"] in _ENDED}:
        if found and time.monotonic() > deadline:
            break
        time.sleep(1 if found else 0)
        found |= resources(service.url, waiting)
    return found


def _is_wrong(resource: dict[str, Any], faces: int) -> bool:
    found = {"done": resource["faces_count"] == faces, "failed": False}
    return not found.get(resource["status"], True)


if __name__ == "__main__":
    main()
