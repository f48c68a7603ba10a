"""How long dlib's frontal face detector takes: dlib itself and each instruction set of our kernel.

    .venv/bin/python -m benchmarks.hog --repeats 9 --json hog.json

A photograph is scaled to each size and searched upsampled once, as the service does. All runs of a
size are interleaved, so that a busy machine slows every column alike; printed are medians. The time
of the kernel's stages is its own account, and the ratio is that of the whole calls.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import dlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from faceengine.hog import native
from faceengine.hog.boxes import Detection, detections_of
from tests.support import photographs

_SIZES: Final = {"480p": (854, 480), "720p": (1280, 720), "1080p": (1920, 1080)}
_DLIB: Final = "dlib"


@dataclass(frozen=True)
class Result:
    """One size and one way to detect it, in milliseconds; `stages_ms` only of the kernel."""

    size: str
    what: str
    median_ms: float
    fastest_ms: float
    ratio_to_dlib: float
    stages_ms: dict[str, float]
    faces: int
    same_boxes: bool
    score_difference: float


Pixels = NDArray[np.uint8]
Detect = Callable[[Pixels, NDArray[np.float64]], list[Detection]]


def ways_to_detect() -> dict[str, Detect]:
    """dlib and every compiled instruction set that this processor has."""
    detector = dlib.get_frontal_face_detector()
    model = native.take_reference(detector).model
    kernels = [native.Kernel(s, model) for s in native.usable_instruction_sets()]
    ways: dict[str, Detect] = {_DLIB: lambda pixels, _: detections_of(detector.run(pixels, 1, 0.0))}
    for kernel in kernels:
        ways[f"native-{kernel.name}"] = _by(kernel)
    return ways


def _by(kernel: native.Kernel) -> Detect:
    return lambda pixels, seconds: kernel.detect(pixels, 1, 0.0, seconds)


def photograph(size: tuple[int, int]) -> Pixels:
    """One photograph cut and scaled to `size` (width, height), with the face whole."""
    with Image.open(photographs.path("obama.jpg")) as image:
        return np.asarray(ImageOps.fit(image.convert("RGB"), size, centering=(0.5, 0.1)))


def measure(size: str, repeats: int) -> list[Result]:
    """Run every way `repeats` times, in turn."""
    pixels = photograph(_SIZES[size])
    ways = ways_to_detect()
    times: dict[str, list[float]] = {what: [] for what in ways}
    stages: dict[str, list[NDArray[np.float64]]] = {what: [] for what in ways}
    found: dict[str, list[Detection]] = {}
    for _ in range(repeats):
        for what, detect in ways.items():
            seconds = np.zeros(len(native.STAGES))
            start = time.perf_counter()
            found[what] = detect(pixels, seconds)
            times[what].append(1e3 * (time.perf_counter() - start))
            stages[what].append(1e3 * seconds)
    return [_result(size, what, times, stages[what], found) for what in ways]


def _result(
    size: str,
    what: str,
    times: dict[str, list[float]],
    stages: list[NDArray[np.float64]],
    found: dict[str, list[Detection]],
) -> Result:
    ours, dlibs = found[what], found[_DLIB]
    median = statistics.median(times[what])
    medians = np.median(stages, axis=0)
    return Result(
        size=size,
        what=what,
        median_ms=median,
        fastest_ms=min(times[what]),
        ratio_to_dlib=statistics.median(times[_DLIB]) / median,
        stages_ms=dict(zip(native.STAGES, medians.tolist(), strict=True)) if medians.any() else {},
        faces=len(ours),
        same_boxes=[d[:4] for d in ours] == [d[:4] for d in dlibs],
        score_difference=max(
            (abs(a.score - b.score) for a, b in zip(ours, dlibs, strict=False)), default=0.0
        ),
    )


def table(results: list[Result]) -> str:
    """The results as a Markdown table, milliseconds."""
    head = ["size", "", "median", "fastest", "× dlib", *native.STAGES, "faces", "scores within"]
    lines = [head, ["---"] * len(head)]
    for result in results:
        stages = [f"{result.stages_ms[s]:.1f}" if result.stages_ms else "" for s in native.STAGES]
        lines.append(
            [
                *(result.size, result.what, f"{result.median_ms:.0f}", f"{result.fastest_ms:.0f}"),
                *(f"{result.ratio_to_dlib:.1f}", *stages),
                str(result.faces) if result.same_boxes else f"{result.faces}, OTHERS",
                f"{result.score_difference:.0e}",
            ]
        )
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hog")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--json", type=Path, help="write the results there too")
    options = parser.parse_args()
    results = [result for size in _SIZES for result in measure(size, options.repeats)]
    print(table(results))
    if options.json:
        report: dict[str, Any] = {"results": [asdict(result) for result in results]}
        options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
