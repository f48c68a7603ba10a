"""One run of the tests shared by several processes, each with servers and folders of its own.

Every process finds the same classes in the same order and takes the next one that nobody has: the
shared file holds a byte for each that was taken. A class is never split, so what it sets up is set
up once. Most of the tests wait for processes of a service, so two runs at once take little longer
than one.
"""

import fcntl
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

import django.test

MOST: Final = 4
"""More would wait for each other's services rather than for their own."""


def wanted() -> int:
    """How many processes share a whole run: one more than cores, for one that waits."""
    return min(MOST, 1 + len(os.sched_getaffinity(0)))


def flat(tests: Iterable[unittest.TestCase | unittest.TestSuite]) -> Iterator[unittest.TestCase]:
    """The tests of suites within suites, in order."""
    for test in tests:
        if isinstance(test, unittest.TestSuite):
            yield from flat(test)
        else:
            yield test


class Cost(NamedTuple):
    """What a class took with what it set up: the processor's time also of ended processes."""

    wall_s: float
    processor_s: float
    name: str


class ClassSuite(unittest.TestSuite):
    """Class by class: the cost of each is kept in `costs`."""

    def __init__(self, tests: Iterable[unittest.TestCase]) -> None:
        super().__init__(tests)
        self.costs: list[Cost] = []

    def run(self, result: unittest.TestResult, debug: bool = False) -> unittest.TestResult:
        classes = list(_classes(flat(self)))
        while (index := self._take()) < len(classes) and not result.shouldStop:
            wall_s, processor_s = time.monotonic(), _processor_s()
            unittest.TestSuite(classes[index]).run(result, debug)
            # A suite ends with its last class torn down, but leaves its name for the next suite.
            result._previousTestClass = None  # type: ignore[attr-defined]
            taken_s = time.monotonic() - wall_s, _processor_s() - processor_s
            self.costs.append(Cost(*taken_s, _name(_unit(classes[index][0]))))
        return result

    def _take(self) -> int:
        return len(self.costs)


class SharedSuite(ClassSuite):
    """All classes to look at; run, only those that this process is the first to take."""

    def __init__(self, tests: Iterable[unittest.TestCase], taken: Path) -> None:
        super().__init__(tests)
        self._taken = taken

    def _take(self) -> int:
        with self._taken.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(b".")
            return file.tell() - 1


def _processor_s() -> float:
    """Of this process and of those that it has seen end."""
    used = os.times()
    return sum(used[:4])


def _unit(test: unittest.TestCase) -> object:
    """What is never split: a class, or all that share one service by a name."""
    return getattr(test, "shares", "") or type(test)


def _name(unit: object) -> str:
    return f"{unit.__module__}.{unit.__qualname__}" if isinstance(unit, type) else f"all of {unit}"


def _classes(tests: Iterable[unittest.TestCase]) -> Iterator[list[unittest.TestCase]]:
    """Each class's tests: those that start services first, for they take the longest.

    Else in Django's order, whose reason is that some classes leave the database empty.
    """
    each = [list(group) for _, group in groupby(tests, _unit)]
    each.sort(key=lambda group: isinstance(group[0], django.test.SimpleTestCase))
    return iter(each)


def print_costs(costs: Iterable[Cost], most: int) -> None:
    """The `most` classes that took the longest."""
    for cost in sorted(costs, reverse=True)[:most]:
        print(f"{cost.wall_s:7.1f} s {cost.processor_s:7.1f} s of processor  {cost.name}")


def run(jobs: int, durations: int = 0) -> int:
    """Run this very command in `jobs` processes; how many tests failed, with the sums printed."""
    with tempfile.TemporaryDirectory(prefix="faces-shared-tests-") as name:
        folder = Path(name)
        own = ["--jobs", "1", "--share", str(folder)]
        running = [
            subprocess.Popen(
                [sys.executable, *sys.argv, *own],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                bufsize=0,
            )
            for _ in range(jobs)
        ]
        _wait(running)
        return _sum(folder, running, durations)


def note(folder: Path, counts: dict[str, int], costs: list[Cost]) -> None:
    """What one process of a shared run found."""
    (folder / f"{os.getpid()}.json").write_text(json.dumps({"costs": costs, **counts}))


def _wait(running: list[subprocess.Popen[bytes]]) -> None:
    lock = threading.Lock()
    readers = [threading.Thread(target=_pass_on, args=(each.stdout, lock)) for each in running]
    try:
        for reader in readers:
            reader.start()
        for each in running:
            each.wait()
    finally:
        for each in running:
            if each.poll() is None:
                each.terminate()
        for each in running:
            each.wait()


def _pass_on(stream: IO[bytes] | None, lock: threading.Lock) -> None:
    """In whole lines, except while there is only a row of dots, which shows that all is well."""
    assert stream is not None
    held = b""
    while chunk := stream.read(1 << 16):
        held += chunk
        lines, newline, held = held.rpartition(b"\n")
        if held and not held.strip(b".s"):
            lines, newline, held = lines + newline + held, b"", b""
        _write(lines + newline, lock)
    _write(held, lock)


def _write(text: bytes, lock: threading.Lock) -> None:
    if not text:
        return
    with lock:
        sys.stdout.buffer.write(text)
        sys.stdout.flush()


def _sum(folder: Path, running: list[subprocess.Popen[bytes]], durations: int) -> int:
    counts: dict[str, Any] = {"passed": 0, "failed": 0, "skipped": 0}
    told = [json.loads(file.read_text()) for file in folder.glob("*.json")]
    for each in told:
        for name in counts:
            counts[name] += each[name]
    print_costs((Cost(*cost) for each in told for cost in each["costs"]), durations)
    # One that said nothing was ended before it could.
    silent = sum(each.returncode != 0 for each in running) if len(told) < len(running) else 0
    print(", ".join(f"{count} {name}" for name, count in counts.items()), flush=True)
    return int(counts["failed"]) + silent
