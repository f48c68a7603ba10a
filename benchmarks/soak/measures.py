"""What is measured: memory, files and threads of each process, and the stores."""

import os
import re
import statistics
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from benchmarks import plots
from benchmarks.chaos.clients import Listener, Uploads
from benchmarks.chaos.services import MadeRun, parts
from benchmarks.report import percentile
from tests.support.stack import local_session

Row = dict[str, float]

_MIB: Final = 2**20
_AGE: Final = re.compile(r"^faces_queue_oldest_age_seconds\{.*\} ([\d.e+-]+)$", re.MULTILINE)
# A figure that ends higher than it was by more than these grows.
_TOLERATED: Final = 1.10
_TOLERATED_AT_ALL: Final = 4.0
_UNJUDGED: Final = ("minute", "machine", "answer", "upload to event")


def row(service: MadeRun) -> Row:
    """All figures of this moment. Memory is Pss: what processes share counts once."""
    found: Row = {}
    for kind, pids in parts(service).items():
        found[f"{kind}: memory MiB"] = sum(map(_memory_mib, pids))
        found[f"{kind}: open files"] = sum(_count(pid, "fd") for pid in pids)
        found[f"{kind}: threads"] = sum(_count(pid, "task") for pid in pids)
    found["disk MiB"] = _disk_mib(service.storage)
    with service.redis_client() as client:
        found["Redis' data MiB"] = client.info("memory")["used_memory"] / _MIB
    found["oldest in the queue s"] = _queue_age_s(service)
    found["machine: load"] = os.getloadavg()[0]
    return found


class Latencies:
    """How long answers and events took since the row before."""

    def __init__(self, uploads: Uploads, listener: Listener) -> None:
        self._uploads: Final = uploads
        self._listener: Final = listener
        self._answers = 0
        self._events = 0

    def row(self) -> Row:
        """Both in milliseconds; nothing where nothing came."""
        waits = self._uploads.waits_s[self._answers :]
        came = list(self._listener.first_at.items())[self._events :]
        self._answers += len(waits)
        self._events += len(came)
        sent_at = self._uploads.sent_at
        ends = [at - sent_at[id] for id, at in came if id in sent_at]
        return {
            f"{name} p{percent} ms": 1000 * percentile(times, percent)
            for name, times in (("answer", waits), ("upload to event", ends))
            for percent in (50, 99)
            if times
        }


def grown(rows: Sequence[Row]) -> Iterator[tuple[str, float, float, bool]]:
    """Each figure's median in the second and the last fifth, and whether it grew between them.

    Times and the load depend on what else the machine does, and count as no growth.
    """
    fifth = max(1, len(rows) // 5)
    for name in rows[-1]:
        early, late = (
            statistics.median(each.get(name, 0) for each in part)
            for part in (rows[fifth : 2 * fifth] or rows[:fifth], rows[-fifth:])
        )
        is_more = late > early * _TOLERATED and late - early > _TOLERATED_AT_ALL
        yield name, early, late, is_more and not name.startswith(_UNJUDGED)


def draw(rows: Sequence[Row], file: Path) -> None:
    """A chart of each figure over the minutes, with a line for each kind of process."""
    charts: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for name in (name for name in rows[-1] if name != "minute"):
        title, line = _titled(name)
        points = [(each["minute"], each[name]) for each in rows if name in each]
        charts.setdefault(title, {})[line] = points
    plots.write(file, [plots.Chart(title, "minutes", lines) for title, lines in charts.items()])


def _titled(name: str) -> tuple[str, str]:
    """The chart of a figure, and the name of its line there."""
    before, colon, after = name.partition(": ")
    if colon:
        return after, before
    if found := re.fullmatch(r"(.+) (p\d+) ms", name):
        return f"{found[1]}, ms", found[2]
    return name, name


def _memory_mib(pid: int) -> float:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0


def _count(pid: int, folder: str) -> int:
    with suppress(OSError):
        return len(os.listdir(f"/proc/{pid}/{folder}"))
    return 0


def _disk_mib(folder: Path) -> float:
    total = 0
    for file in folder.rglob("*"):
        with suppress(OSError):
            total += file.lstat().st_size if not file.is_dir() else 0
    return total / _MIB


def _queue_age_s(service: MadeRun) -> float:
    with local_session() as session:
        text = session.get(f"{service.url}/metrics", timeout=30).text
    return max(map(float, _AGE.findall(text)), default=0)
