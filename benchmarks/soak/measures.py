"""What is measured: memory, files and threads of each process, and the stores."""

import os
import re
import statistics
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from benchmarks.chaos.services import MadeRun, parts
from tests.support.stack import local_session

Row = dict[str, float]

_MIB: Final = 2**20
_AGE: Final = re.compile(r"^faces_queue_oldest_age_seconds\{.*\} ([\d.e+-]+)$", re.MULTILINE)
# A figure that ends higher than it was by more than these grows.
_TOLERATED: Final = 1.10
_TOLERATED_AT_ALL: Final = 4.0


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
    return found


def grown(rows: Sequence[Row]) -> Iterator[tuple[str, float, float, bool]]:
    """Each figure's median in the second and the last fifth, and whether it grew between them."""
    fifth = max(1, len(rows) // 5)
    for name in rows[-1]:
        early, late = (
            statistics.median(each.get(name, 0) for each in part)
            for part in (rows[fifth : 2 * fifth] or rows[:fifth], rows[-fifth:])
        )
        yield name, early, late, late > early * _TOLERATED and late - early > _TOLERATED_AT_ALL


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
