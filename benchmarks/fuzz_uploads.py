"""Mutated images of every format through the code of an upload: none may crash, hang or leak.

    .venv/bin/python -m benchmarks.fuzz_uploads --count 20000 --seed 1 --json fuzz.json

Each file is checked as the web process checks it, and one that is taken is loaded as a worker
loads it. Some have bytes changed, some are cut, repeated, or joined with another; numbers in the
headers become extreme ones. Processes share the work, each with a part of the seeds. The exit
status is 1 if a process died, a file raised anything but a refusal, took longer than it may, or
memory grew.
"""

from __future__ import annotations

import argparse
import io
import multiprocessing
import os
import random
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

from PIL import Image

import faceengine
from benchmarks import report
from benchmarks.report import Figure
from faceengine.imaging import isolation
from tests.support import image_factories

_SECONDS: Final = 20.0
"""Of one file, by the clock: its decoders have 2 s and 4 s of processor time."""

_GROWTH_MB: Final = 64
"""Of a process from its 500th file on."""

_WARM: Final = 500

_EXTREMES: Final = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)


@dataclass
class Part:
    """What one process found."""

    outcomes: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    grown_mb: float = 0.0


@cache
def originals() -> list[bytes]:
    """Small files of each format and of the ways to code it."""
    picture = image_factories.portrait(width=120)
    encoded = image_factories.encoded
    found = [encoded(picture, name) for name in image_factories.FORMATS]
    found += [
        image_factories.oriented(picture, 6, name) for name in ("JPEG", "PNG", "WEBP", "AVIF")
    ]
    found += [encoded(picture, progressive=True), encoded(picture.convert("CMYK"))]
    found += [encoded(picture, "TIFF", compression=each) for each in _TIFF]
    found += [encoded(picture, "WEBP", lossless=True), encoded(picture.quantize(64), "PNG")]
    found += [encoded(picture.quantize(16), "BMP"), encoded(picture.convert("RGBA"), "PNG")]
    frames = [picture, picture.rotate(90)]
    found += [image_factories.animated(frames, name) for name in ("GIF", "WEBP", "PNG", "AVIF")]
    return [*found, *image_factories.layouts(picture).values()]


_TIFF: Final = ("tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits", "tiff_lzma", "zstd")


def mutated(dice: random.Random) -> bytes:
    """One of the originals with one to eight mutations."""
    data = bytearray(dice.choice(originals()))
    for _ in range(dice.choice((1, 1, 2, 3, 8))):
        dice.choice(_MUTATIONS)(data, dice)
    return bytes(data)


def _change(data: bytearray, dice: random.Random) -> None:
    for _ in range(dice.choice((1, 2, 16))):
        data[_place(data, dice)] = dice.randrange(256)


def _extreme(data: bytearray, dice: random.Random) -> None:
    """A number of 1, 2 or 4 bytes becomes the smallest, the largest or one at a border."""
    order, kind = dice.choice("<>"), dice.choice("BHI")
    value = dice.choice(_EXTREMES) & (1 << 8 * struct.calcsize(kind)) - 1
    number = struct.pack(order + kind, value)
    place = _place(data, dice)
    data[place : place + len(number)] = number


def _cut(data: bytearray, dice: random.Random) -> None:
    del data[max(1, _place(data, dice)) :]


def _drop(data: bytearray, dice: random.Random) -> None:
    place = _place(data, dice)
    del data[max(1, place) : place + dice.choice((1, 2, 100))]


def _repeat(data: bytearray, dice: random.Random) -> None:
    start = _place(data, dice)
    piece = data[start : start + dice.choice((2, 12, 200, 2000))]
    data[start:start] = piece * dice.choice((1, 2, 50))


def _join(data: bytearray, dice: random.Random) -> None:
    other = dice.choice(originals())
    data[_place(data, dice) :] = other[dice.randrange(len(other)) :]


_MUTATIONS: Final[tuple[Callable[[bytearray, random.Random], None], ...]] = (
    *(_change, _change, _extreme, _extreme, _extreme),
    *(_cut, _drop, _repeat, _join),
)


def _place(data: bytearray, dice: random.Random) -> int:
    """A place, half of the time among the headers."""
    end = min(len(data), 700) if dice.random() < 0.5 else len(data)
    return dice.randrange(end)


def outcome(data: bytes) -> str:
    """What an upload of `data` comes to: taken, or the reason of its refusal."""
    try:
        faceengine.check_image(data)
    except faceengine.ImageError as error:
        return "too costly" if str(error) == isolation.TOO_COSTLY else f"refused: {error.reason}"
    try:
        image: Image.Image = faceengine.load_image(io.BytesIO(data))
    except faceengine.ImageError as error:
        return f"taken, then refused: {error.reason}"
    return f"taken: {image.mode}"


def fuzz(seed: int, first: int, count: int) -> Part:
    """Run files number `first` to `first + count` of `seed`, in this process."""
    part, warm_mb = Part(), 0.0
    for number in range(first, first + count):
        data = mutated(random.Random(f"{seed}:{number}"))
        started = time.monotonic()
        try:
            part.outcomes[outcome(data)] += 1
        except faceengine.Busy:
            part.outcomes["busy"] += 1
        except Exception as error:  # any other is what is looked for
            part.wrong.append(_kept(data, f"{seed}:{number} {error!r}"))
        took_s = time.monotonic() - started
        part.slowest_s = max(part.slowest_s, took_s)
        if took_s > _SECONDS:
            part.wrong.append(_kept(data, f"{seed}:{number} took {took_s:.1f} s"))
        if number == first + _WARM:
            warm_mb = _resident_mb()
    part.grown_mb = _resident_mb() - warm_mb if count > _WARM else 0.0
    return part


def _kept(data: bytes, what: str) -> str:
    with tempfile.NamedTemporaryFile(prefix="fuzz-", suffix=".bin", delete=False) as file:
        file.write(data)
    return f"{what}: {file.name}"


def _resident_mb() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def figures(parts: list[Part]) -> Iterator[Figure]:
    """What all processes found together."""
    outcomes = sum((part.outcomes for part in parts), Counter[str]())
    yield Figure("files", outcomes.total(), "")
    for what, count in outcomes.most_common():
        yield Figure(f"  {what}", count, "")
    yield Figure("slowest", max(part.slowest_s for part in parts), "s", f"< {_SECONDS:.0f}")
    yield Figure(
        "growth of a process", max(part.grown_mb for part in parts), "MB", f"< {_GROWTH_MB}"
    )
    yield Figure("wrong", sum(len(part.wrong) for part in parts), "", "0")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    share = -(-given.count // given.processes)
    context = multiprocessing.get_context("spawn")
    # A process that crashes breaks the pool: `result` raises.
    with ProcessPoolExecutor(given.processes, mp_context=context) as pool:
        asked = [
            pool.submit(fuzz, given.seed, first, min(share, given.count - first))
            for first in range(0, given.count, share)
        ]
        parts = [each.result() for each in asked]
    report.show(figures(parts), given.json)
    wrong = [each for part in parts for each in part.wrong]
    print(*wrong, sep="\n")
    sys.exit(bool(wrong) or max(part.grown_mb for part in parts) > _GROWTH_MB)


if __name__ == "__main__":
    main()
