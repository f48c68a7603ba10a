"""Encoders side by side: time, memory, pairs told apart, and galleries of their sizes.

    python -m benchmarks.encoders [--encoder PATH]… [--images FOLDER] [--repeat N] [--json FILE]

dlib's and each `--encoder` (docs/models.md) run in one process, in turn; without one, the SFace of
the tests if it was fetched. `--images` has photos that each show every person once, annotated as
`benchmarks.recall.annotated` wants them; the photographs of the tests are added. Pairs of one
person are the same face spoiled in several ways, and the three photographs of one man; pairs of two
people are all others. Times are of the processor, the quickest of `--repeat` runs. Memory is what
loading and a run of 32 faces add to a process that has done nothing else.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy
from PIL import Image, ImageEnhance, ImageFilter

import faceengine
from backend.analysis.nearest import Matrix
from benchmarks import recall
from benchmarks.report import Figure, show
from faceengine import Encoder, encoding
from tests.support import photographs, sface

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FACES: Final = 32

_SIZES: Final = (10_000, 100_000)
_DIMENSIONS: Final = (128, 512)

_SPOILED: Final[dict[str, Callable[[Image.Image], Image.Image]]] = {
    "unchanged": lambda image: image,
    "half": lambda image: image.reduce(2),
    "blurred": lambda image: image.filter(ImageFilter.GaussianBlur(2)),
    "dark": lambda image: ImageEnhance.Brightness(image).enhance(0.35),
}
"""None moves a face but `half`, which halves its place."""

_ONE_MAN: Final = ("obama.jpg", "obama2.jpg", "obama3.jpg")


class Seen(NamedTuple):
    """A face that was found: whose it is, how it was spoiled, its encoding."""

    person: str
    how: str
    encoding: Any


def encoders(paths: Sequence[str]) -> list[Encoder]:
    """dlib's and those of `paths`."""
    if not paths and sface.FILE.is_file():
        paths = [str(sface.FILE)]
    return [faceengine.DLIB, *map(faceengine.open_encoder, paths)]


def time_rows(used: Sequence[Encoder], repeat: int) -> Iterator[Figure]:
    for encoder in used:
        side = 150 if encoder.network is None else 112
        chips = list(_random().integers(0, 256, (_FACES, side, side, 3), numpy.uint8))
        for count in (1, _FACES):
            took = _cpu_s(partial(encoding.encode, chips[:count], encoder), repeat)
            yield Figure(f"{encoder.name}, of {count} faces", took / count * 1e3, "ms a face")


def memory_rows(paths: Sequence[str]) -> Iterator[Figure]:
    for path in ["dlib", *paths]:
        script = _MEMORY.format(path=path, faces=_FACES)
        done = subprocess.run(
            [sys.executable, "-c", script], check=True, capture_output=True, text=True
        )
        yield Figure(f"memory of {Path(path).name}", float(done.stdout), "MB")


_MEMORY: Final = r"""
import re, numpy, onnxruntime, faceengine
from pathlib import Path
from faceengine import encoding, landmarks
peak = lambda: int(re.search(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text())[1]) / 1024
encoder = faceengine.open_encoder({path!r})
side = 150 if encoder.network is None else 112
before = peak()
encoding.encode(list(numpy.zeros(({faces}, side, side, 3), numpy.uint8)), encoder)
print(peak() - before)
"""


def pair_rows(used: Sequence[Encoder], folder: Path | None) -> Iterator[Figure]:
    """Of each encoder: pairs missed where it accepts 1 of 1,000, and errors at its threshold."""
    for encoder in used:
        same, other = _distances(_faces(encoder, folder))
        note = f"{len(same)} pairs of one person, {len(other)} of two"
        limit = float(numpy.quantile(other, 0.001))
        yield Figure(f"{encoder.name}, missed at 0.1 %", _share(same > limit), "%", "", note)
        if encoder.thresholds is None:
            continue
        at = encoder.thresholds.same_person
        yield Figure(f"{encoder.name}, missed at {at}", _share(same > at), "%")
        yield Figure(f"{encoder.name}, accepted at {at}", _share(other <= at), "%")


def _faces(encoder: Encoder, folder: Path | None) -> list[Seen]:
    found = list[Seen]()
    samples = recall.annotated(folder) if folder else []
    for number, sample in enumerate(samples):
        found += _of_sample(encoder, sample, f"photo {number}")
    for name in (*_ONE_MAN, "biden.jpg"):
        image = faceengine.load_image(photographs.path(name))
        person = "one man" if name in _ONE_MAN else name
        for how, change in _SPOILED.items():
            faces = _found(change(image), encoder)
            found += [Seen(person, f"{name} {how}", face.encoding) for face in faces[:1]]
    return found


def _of_sample(encoder: Encoder, sample: recall.Sample, photo: str) -> Iterator[Seen]:
    """The annotated faces: a found one whose middle lies within half a side of one's."""
    for how, change in _SPOILED.items():
        image = change(sample.image)
        scale = sample.image.width / image.width
        for face in _found(image, encoder):
            box = face.box
            x, y = (box.left + box.right) / 2 * scale, (box.top + box.bottom) / 2 * scale
            for index, (across, down, side) in enumerate(sample.faces):
                if max(abs(x - across), abs(y - down)) < side / 2:
                    yield Seen(f"{photo} {index}", how, face.encoding)


def _found(image: Image.Image, encoder: Encoder) -> Sequence[faceengine.Face]:
    detector: faceengine.Detector = "yunet" if faceengine.is_available("yunet") else "hog"
    return faceengine.find_faces(image, detector, encoder=encoder)


def _distances(seen: Sequence[Seen]) -> tuple[NDArray[numpy.float64], NDArray[numpy.float64]]:
    """Of pairs of one person and of two people."""
    rows = numpy.stack([each.encoding for each in seen]).astype("f8")
    people = numpy.array([each.person for each in seen])
    one, other = numpy.triu_indices(len(seen), 1)
    distances = numpy.linalg.norm(rows[one] - rows[other], axis=1)
    are_same = people[one] == people[other]
    return distances[are_same], distances[~are_same]


def gallery_rows(repeat: int) -> Iterator[Figure]:
    """The three nearest of a gallery with four faces a person, on random unit vectors."""
    for dimensions in _DIMENSIONS:
        for size in _SIZES:
            rows = _random().normal(size=(size, dimensions)).astype("f4")
            rows /= numpy.linalg.norm(rows, axis=1, keepdims=True)
            matrix, people = Matrix.of(rows, numpy.arange(size)), numpy.arange(size) // 4
            took = _cpu_s(partial(matrix.nearest_of_groups, rows[7], people, 3), repeat)
            what = f"gallery of {size:,} faces at {dimensions} numbers"
            yield Figure(what, took * 1e3, "ms", "", f"{matrix.nbytes / 1e6:.0f} MB")


def _random() -> numpy.random.Generator:
    return numpy.random.default_rng(7)


def _cpu_s(work: Callable[[], Any], repeat: int) -> float:
    """The quickest of `repeat` runs after a first one."""
    took = []
    for _ in range(repeat + 1):
        began = time.process_time()
        work()
        took.append(time.process_time() - began)
    return min(took[1:])


def _share(which: NDArray[numpy.bool_]) -> float:
    return float(which.mean()) * 100


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--encoder", action="append", default=[], metavar="PATH")
    parser.add_argument("--images", type=Path)
    parser.add_argument("--repeat", type=int, default=20)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    used = encoders(options.encoder)
    show(_rows(used, options), options.json)


def _rows(used: Sequence[Encoder], options: argparse.Namespace) -> Iterator[Figure]:
    paths = options.encoder or [str(sface.FILE)] * (len(used) - 1)
    yield from time_rows(used, options.repeat)
    yield from memory_rows(paths)
    yield from pair_rows(used, options.images)
    yield from gallery_rows(options.repeat)


if __name__ == "__main__":
    main()
