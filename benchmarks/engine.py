"""The engine beside face_recognition and dlib: one table.

    python -m benchmarks.engine [--json FILE] [--images FOLDER] [--repeat N] [--full]

Both sides run in turn, so that whatever else the machine does strikes both; times are medians, with
the quickest run behind them. Peak memory and start-up are measured in processes of their own.
`--images` is a folder of annotated photos with a `boxes.json`, {name: [{left, top, width,
height}]}; without it recall is left out. `--full` adds what takes dlib minutes.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import dlib
import numpy
from PIL import Image

import faceengine
from faceengine import encoding, hog, landmarks
from faceengine.detection import cnn
from faceengine.imaging.scaled import Photo
from faceengine.tests import oracle
from tests.support import image_factories

MATCH_IOU = 0.4  # annotations and detectors do not draw the same box round a face


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: ours and theirs, in `unit`; `ratio` says how many times better."""

    what: str
    unit: str
    ours: float
    theirs: float | None = None
    note: str = ""
    ratio: float | None = None


def timed(work: Callable[[], Any]) -> float:
    """Milliseconds that `work` takes."""
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1e3


def versus(
    what: str, ours: Callable[[], Any], theirs: Callable[[], Any], repeat: int, note: str = ""
) -> Row:
    """Both in turn, `repeat` times after one for warmth."""
    if repeat > 1:
        ours(), theirs()
    times = [(timed(ours), timed(theirs)) for _ in range(repeat)]
    a, b = (median(column) for column in zip(*times, strict=True))
    best = f"quickest {min(t[0] for t in times):.1f} and {min(t[1] for t in times):.1f}"
    return Row(what, "ms", a, b, f"{note}; {best}" if note else best, b / a)


def encoder_rows(repeat: int) -> Iterator[Row]:
    image = image_factories.portrait()
    pixels = oracle.pixels(image)
    (face,) = faceengine.find_faces(image)
    chip = landmarks.cut(Photo(image, image.size).whole(10**8), face.box).pixels
    model = oracle.face_recognition.api.face_encoder
    worst = 0.0
    for name in ("obama.jpg", "obama2.jpg", "biden.jpg", "obama3.jpg"):
        photo = image_factories.portrait(name, 600)
        boxes = oracle.locations(photo)
        for known, found in zip(
            oracle.encodings(photo, boxes), faceengine.find_faces(photo), strict=True
        ):
            assert found.encoding is not None
            worst = max(worst, float(numpy.abs(known - found.encoding).max()))
    yield versus(
        "encode one face",
        lambda: encoding.encode([chip]),
        lambda: model.compute_face_descriptor(chip),
        repeat * 3,
        f"largest difference of a component {worst:.1e}",
    )
    yield versus(
        "encode one face, twenty one after another",
        lambda: [encoding.encode([chip]) for _ in range(20)],
        lambda: [model.compute_face_descriptor(chip) for _ in range(20)],
        repeat,
        "the row above finds the caches as the other side left them",
    )
    batch = [chip] * 32
    chips = [chip for _ in range(32)]
    yield versus(
        "encode 32 faces at once",
        lambda: encoding.encode(batch),
        lambda: model.compute_face_descriptor(chips),
        1,
    )
    yield versus(
        "landmarks, chip and encoding of one face",
        lambda: encoding.encode(
            [landmarks.cut(Photo(image, image.size).whole(10**8), face.box).pixels]
        ),
        lambda: oracle.face_recognition.face_encodings(pixels, [tuple(face.box)], model="small"),
        repeat,
    )


def detector_rows(repeat: int, full: bool) -> Iterator[Row]:
    pixels = numpy.ascontiguousarray(oracle.pixels(image_factories.canvas(1920, 1080)))
    detector = dlib.get_frontal_face_detector()
    rects, scores, _ = detector.run(pixels, 1, 0.0)
    known = [(r.top(), r.right(), r.bottom(), r.left()) for r in rects]
    same = known == [found[:4] for found in hog.detect(pixels)]
    yield versus(
        "HOG, 1080p at twice its size",
        lambda: hog.detect(pixels),
        lambda: detector.run(pixels, 1, 0.0),
        repeat,
        f"{hog.backend()}, boxes {'identical' if same else 'DIFFER'}",
    )
    network = oracle.face_recognition.api.cnn_face_detector
    for upsample in (0, 1) if full else (0,):
        what = "CNN, 1080p at twice its size" if upsample else "CNN, 1080p as it is"
        yield versus(
            what,
            partial(cnn.detect, pixels, upsample=upsample),
            partial(network, pixels, upsample),
            1 if upsample else 2,
        )


def upload_rows(repeat: int, folder: Path) -> Iterator[Row]:
    for width, height in ((854, 480), (1920, 1080)):
        file = folder / f"{height}.jpg"
        file.write_bytes(image_factories.encoded(image_factories.canvas(width, height), quality=90))
        yield versus(
            f"{height}p JPEG with two faces, file to encodings",
            partial(faceengine.find_faces, file),
            partial(by_face_recognition, file),
            repeat,
        )
        data = file.read_bytes()
        times = [timed(partial(faceengine.check_image, data)) for _ in range(20)]
        yield Row(
            f"check an upload, {height}p JPEG", "ms", median(times), note=f"worst {max(times):.1f}"
        )


def by_face_recognition(file: Path) -> list[Any]:
    pixels = oracle.face_recognition.load_image_file(str(file))
    boxes = oracle.face_recognition.face_locations(pixels)
    return list(oracle.face_recognition.face_encodings(pixels, boxes, model="small"))


OURS = "import faceengine\nfaceengine.load()\nrun = faceengine.find_faces"
THEIRS = """
import warnings; warnings.simplefilter("ignore")
import face_recognition as library
def run(file):
    pixels = library.load_image_file(file)
    return library.face_encodings(pixels, library.face_locations(pixels), model="small")
"""
PROBE = """
import re, sys, time
begun = time.perf_counter()
{start}
loaded = time.perf_counter()
faces = len(run(sys.argv[1])) if len(sys.argv) > 1 else 0
ended = time.perf_counter()
status = open("/proc/self/status").read()
peak, now = (int(re.search(name + r":\\s+(\\d+)", status)[1]) / 1024 for name in ("VmHWM", "VmRSS"))
print((loaded - begun) * 1e3, (ended - loaded) * 1e3, peak, now, faces)
"""


@dataclass(frozen=True, slots=True)
class Probe:
    """What a process of its own measured: load and run in ms, memory in MB, faces found."""

    load: float
    run: float
    peak: float
    now: float
    faces: int


def probe(start: str, *arguments: str) -> Probe:
    command = [sys.executable, "-c", PROBE.format(start=start), *arguments]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    load, run, peak, now = map(float, output[:4])
    return Probe(load, run, peak, now, int(output[4]))


def process_rows(repeat: int, folder: Path) -> Iterator[Row]:
    starts = [(probe(OURS), probe(THEIRS)) for _ in range(repeat)]
    a, b = (median(each.load for each in column) for column in zip(*starts, strict=True))
    yield Row("import and load", "ms", a, b, ratio=b / a)
    a, b = (median(each.now for each in column) for column in zip(*starts, strict=True))
    yield Row("memory when loaded", "MB", a, b, ratio=b / a)
    file = folder / "twelve.jpg"
    image = image_factories.twelve_megapixels()
    file.write_bytes(image_factories.encoded(image, quality=92))
    runs = [(probe(OURS, str(file)), probe(THEIRS, str(file))) for _ in range(repeat)]
    ours, theirs = (list(column) for column in zip(*runs, strict=True))
    a, b = (median(each.run for each in side) for side in (ours, theirs))
    note = f"{ours[0].faces} and {theirs[0].faces} faces; {distances(file)}"
    yield Row("12-megapixel JPEG with two faces, file to encodings", "ms", a, b, note, b / a)
    a, b = (median(each.peak for each in side) for side in (ours, theirs))
    yield Row("…its peak memory", "MB", a, b, ratio=b / a)
    hundred = folder / "hundred.jpg"
    hundred.write_bytes(image_factories.encoded(image_factories.canvas(11_600, 8_700), quality=92))
    big = probe(OURS, str(hundred))
    yield Row("100-megapixel JPEG with two faces", "ms", big.run, note=f"{big.faces} faces")
    yield Row("…its peak memory", "MB", big.peak)


def distances(file: Path) -> str:
    """How far our encodings are from those that face_recognition makes of the whole image."""
    known = by_face_recognition(file)
    far = max(
        min(faceengine.distance(face.encoding, each) for each in known)
        for face in faceengine.find_faces(file)
        if face.encoding is not None
    )
    return f"encodings within {far:.3f}"


def growth_row() -> Row:
    """Memory taken by ten thousand encodings, after the first hundred."""
    chip = numpy.zeros((150, 150, 3), numpy.uint8)
    for size in (1, 32, 7) * 3:
        encoding.encode([chip] * size)
    before = resident_mb()
    for _ in range(10_000 // 40):
        for size in (1, 32, 7):
            encoding.encode([chip] * size)
    return Row("memory grown by 10,000 encodings", "MB", resident_mb() - before)


def resident_mb() -> float:
    found = re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


def recall_rows(folder: Path) -> Iterator[Row]:
    """The annotated faces found, of all, and how long the images took."""
    truth = json.loads((folder / "boxes.json").read_text())
    total = sum(len(boxes) for boxes in truth.values())
    images = {name: faceengine.load_image(folder / name) for name in truth}
    for detector in ("hog", "cnn"):
        ours, our_ms = found_by(images, truth, partial(by_engine, detector=detector))
        theirs, their_ms = found_by(images, truth, partial(oracle.locations, model=detector))
        what = f"{detector.upper()} on {total} annotated faces"
        yield Row(f"{what}, found", "faces", ours, theirs)
        yield Row(f"{what}, {len(images)} images", "ms", our_ms, their_ms, ratio=their_ms / our_ms)


def by_engine(image: Image.Image, *, detector: faceengine.Detector) -> list[oracle.Box]:
    return [face.box for face in faceengine.find_faces(image, detector, encode=False)]


def found_by(
    images: dict[str, Image.Image],
    truth: dict[str, list[dict[str, int]]],
    detect: Callable[[Image.Image], list[oracle.Box]],
) -> tuple[int, float]:
    found, start = 0, time.perf_counter()
    boxes = {name: detect(image) for name, image in images.items()}
    elapsed = (time.perf_counter() - start) * 1e3
    for name, annotated in truth.items():
        for box in annotated:
            place = (
                box["top"],
                box["left"] + box["width"],
                box["top"] + box["height"],
                box["left"],
            )
            found += any(oracle.iou(place, each) >= MATCH_IOU for each in boxes[name])
    return found, elapsed


def printed(row: Row) -> str:
    theirs = "" if row.theirs is None else f"{row.theirs:,.1f}"
    ratio = "" if row.ratio is None else f"{row.ratio:.1f} ×"
    return f"{row.what:<52} {row.unit:<6} {row.ours:>10,.1f} {theirs:>10} {ratio:>8}  {row.note}"


def rows(options: argparse.Namespace) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        yield from process_rows(min(3, options.repeat), folder)
        yield from upload_rows(options.repeat, folder)
    yield from encoder_rows(options.repeat)
    yield from detector_rows(options.repeat, options.full)
    yield growth_row()
    if options.images is not None and (options.images / "boxes.json").exists():
        yield from recall_rows(options.images)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--images", type=Path, help="a folder of annotated photos")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--full", action="store_true", help="add what takes dlib minutes")
    options = parser.parse_args()
    for detector in ("hog", "cnn"):
        faceengine.load(detector)
    print(f"{'':<52} {'':<6} {'faceengine':>10} {'dlib/f_r':>10} {'ratio':>8}", flush=True)
    done = []
    for row in rows(options):
        print(printed(row), flush=True)
        done.append(asdict(row))
    if options.json is not None:
        options.json.write_text(json.dumps(done, indent=1) + "\n")


if __name__ == "__main__":
    main()
