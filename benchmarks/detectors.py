"""The detectors side by side: time, faces found in spoiled photographs, false boxes, encodings.

    python -m benchmarks.detectors [--images FOLDER] [--faceless FOLDER] [--held-out FOLDER]
                                   [--repeat N] [--json FILE]

`--images` has annotated photographs (`benchmarks.recall.annotated`); without it the photographs of
the tests are used for time alone. `--faceless` has more pictures without a face than 40 that are
drawn. `--held-out` adds photographs that no threshold was chosen on, which it downloads into FOLDER
(`benchmarks.held_out`), by HOG and YuNet. With it, and neither of the others, it is measured alone.
`face_recognition` runs beside, as a client would call it, where it is installed. Times are
of the processor, the quickest of `--repeat` runs, all detectors in turn.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import dlib
import numpy
from PIL import Image

import faceengine
from benchmarks import held_out, recall
from benchmarks.report import percentile
from faceengine import landmarks
from faceengine.detection import detector
from faceengine.engine import MAX_DETECTION_PIXELS
from faceengine.hog import Detection
from faceengine.imaging.decode import Source
from faceengine.imaging.scaled import Photo, photo
from tests.support import image_factories, photographs

Box = tuple[int, int, int, int]
Row = dict[str, Any]

SIZES = {"480p": (640, 480), "1080p": (1920, 1080), "12 MP": (4032, 3024)}


def _detectors() -> list[faceengine.Detector]:
    return [name for name in faceengine.DETECTORS if faceengine.is_available(name)]


def _boxes(image: Image.Image, detector: faceengine.Detector) -> list[Box]:
    return [face.box for face in faceengine.find_faces(image, detector, encode=False)]


def time_rows(repeat: int) -> Iterator[Row]:
    """Milliseconds from an image to boxes, landmarks and faces, and from a JPEG to encodings.

    Each row has the same steps for every detector. `face_recognition`, whose locations are boxes,
    stands in the first row and the last. An image without a face is searched in every direction.
    """
    faceless = image_factories.faceless(*SIZES["480p"])
    yield _timed("480p without a face, boxes", _searches(faceless), repeat)
    with tempfile.TemporaryDirectory() as folder:
        for what, size in SIZES.items():
            image = image_factories.canvas(*size)
            file = Path(folder, "photo.jpg")
            image.save(file, "JPEG", quality=92)
            yield _timed(f"{what}, boxes", _searches(image), repeat)
            yield _timed(f"{what}, boxes, five landmarks", _marked(image), repeat)
            yield _timed(f"{what}, faces with quality", _finders(image, encode=False), repeat)
            yield _timed(f"{what}, file to encodings", _finders(file, encode=True), repeat)


Work = dict[str, Callable[[], Any]]


def _searches(image: Image.Image) -> Work:
    """Each detector on `image`, reduced to what the engine searches of it: boxes alone."""
    picture = photo(image, max_detection_pixels=MAX_DETECTION_PIXELS, encode=False)
    work: Work = {name: partial(_search, picture, name) for name in _detectors()}
    if oracle := _oracle():
        work["face_recognition"] = partial(oracle.locations, image)
    return work


def _search(picture: Photo, name: faceengine.Detector) -> Sequence[Detection]:
    return detector.detect(picture.whole(MAX_DETECTION_PIXELS), name)


def _marked(image: Image.Image) -> Work:
    """Each detector, then dlib's predictor of five landmarks on each box, in the pixels searched.

    All that a face has by `find_faces` but its chip and its quality.
    """
    picture = photo(image, max_detection_pixels=MAX_DETECTION_PIXELS, encode=False)
    return {name: partial(_landmarks, picture, name) for name in _detectors()}


def _landmarks(picture: Photo, name: faceengine.Detector) -> None:
    view = picture.whole(MAX_DETECTION_PIXELS)
    predictor = landmarks.predictor()
    for found in detector.detect(view, name):
        edges = found.left, found.top, found.right, found.bottom
        predictor(view.pixels, dlib.rectangle(*edges))


def _finders(image: Image.Image | Source, *, encode: bool) -> Work:
    work: Work = {
        name: partial(faceengine.find_faces, image, name, encode) for name in _detectors()
    }
    if encode and _oracle():
        work["face_recognition"] = partial(_by_face_recognition, image)
    return work


def _oracle() -> Any:
    """`face_recognition`, where it is installed."""
    try:
        from faceengine.tests import oracle
    except ImportError:
        return None
    return oracle


def _by_face_recognition(file: Any) -> None:
    from faceengine.tests import oracle

    pixels = oracle.face_recognition.load_image_file(str(file))
    oracle.face_recognition.face_encodings(pixels, model="small")


def _timed(what: str, work: dict[str, Callable[[], Any]], repeat: int) -> Row:
    quickest: dict[str, float] = {}
    for _ in range(repeat):
        for name, each in work.items():
            start = time.process_time()
            each()
            taken = (time.process_time() - start) * 1e3
            quickest[name] = min(taken, quickest.get(name, taken))
    return {"what": what, "unit": "ms", **{name: round(ms, 1) for name, ms in quickest.items()}}


def recall_rows(
    samples: Sequence[recall.Sample], names: Sequence[faceengine.Detector]
) -> Iterator[Row]:
    """Faces found and false boxes of each change, by each of `names`; the last row is the sum."""
    total: dict[str, list[int]] = {name: [0, 0] for name in names}
    for what, change in recall.CHANGES.items():
        changed = [each for sample in samples for each in change(sample)]
        row: Row = {"what": f"{what}, {sum(len(each.faces) for each in changed)} faces"}
        for name in names:
            counts = [recall.matched(each, _boxes(each.image, name)) for each in changed]
            found, false = (sum(column) for column in zip(*counts, strict=True))
            total[name] = [total[name][0] + found, total[name][1] + false]
            row[name] = f"{found} +{false}"
        yield row
    yield {"what": "sum", **{name: f"{found} +{false}" for name, (found, false) in total.items()}}


def faceless_row(folder: Path | None) -> Row:
    """Boxes in pictures without a face."""
    images = recall.faceless(folder)
    boxes: Row = {name: sum(len(_boxes(each, name)) for each in images) for name in _detectors()}
    return {"what": f"false boxes, {len(images)} pictures without a face", **boxes}


def encoding_rows(samples: Sequence[recall.Sample]) -> Iterator[Row]:
    """HOG's and YuNet's box and encoding of the same face."""
    from faceengine.tests import oracle

    overlaps, distances = [], []
    for sample in samples:
        others = faceengine.find_faces(sample.image, "yunet")
        for face in faceengine.find_faces(sample.image):
            same = max(others, key=lambda other: oracle.iou(face.box, other.box), default=None)
            if same is None or oracle.iou(face.box, same.box) < 0.3:
                continue
            assert face.encoding is not None and same.encoding is not None
            overlaps.append(oracle.iou(face.box, same.box))
            distances.append(faceengine.distance(face.encoding, same.encoding))
    yield _spread("HOG's box over YuNet's, intersection over union", overlaps)
    yield _spread("HOG's encoding to YuNet's, distance", distances)


PEOPLE = {
    "obama": ("obama.jpg", "obama2.jpg", "obama3.jpg"),
    "biden": ("biden.jpg",),
}
"""Photographs of the tests of whom."""


def pair_rows(samples: Sequence[recall.Sample]) -> Iterator[Row]:
    """Distances of pairs of the same and of different people, by HOG, by YuNet, and by both.

    The same: photographs of the tests, each unchanged and spoiled in three ways, against the
    others of that person. Different: those two people, and faces of one photo, who are no twins.
    """
    named = [(who, name, _spoiled(name)) for who, names in PEOPLE.items() for name in names]
    groups = [_both(sample.image) for sample in samples]
    for first, second in (("hog", "hog"), ("yunet", "yunet"), ("hog", "yunet")):
        same: list[float] = []
        different: list[float] = []
        for (who, name, faces), (other, another, others) in combinations(named, 2):
            assert name != another
            found = [faceengine.distance(a[first], b[second]) for a in faces for b in others]
            (same if who == other else different).extend(found)
        for faces in groups:
            pairs = combinations(faces, 2)
            different += [faceengine.distance(a[first], b[second]) for a, b in pairs]
        yield _told_apart(f"{first} to {second}, the same person", same, same=True)
        yield _told_apart(f"{first} to {second}, different people", different, same=False)


def _spoiled(name: str) -> list[dict[str, Any]]:
    """Both encodings of the face of a photograph: as it is, small, dark, compressed."""
    image = Image.open(photographs.path(name)).convert("RGB")
    sample = recall.Sample(image, ())
    changes = ("unchanged", "half size", "dark, with noise", "JPEG quality 10")
    changed = [each.image for what in changes for each in recall.CHANGES[what](sample)]
    return [face for each in changed for face in _both(each)]


def _both(image: Image.Image) -> list[dict[str, Any]]:
    """The encodings of each face that HOG and YuNet both find, by detector."""
    from faceengine.tests import oracle

    others = faceengine.find_faces(image, "yunet")
    found = []
    for face in faceengine.find_faces(image):
        same = max(others, key=lambda other: oracle.iou(face.box, other.box), default=None)
        if same is not None and oracle.iou(face.box, same.box) >= 0.3:
            found.append({"hog": face.encoding, "yunet": same.encoding})
    return found


def _told_apart(what: str, distances: Sequence[float], *, same: bool) -> Row:
    wrong = {
        f"wrong at {threshold}": sum((each < threshold) != same for each in distances)
        for threshold in (0.49, 0.6)
    }
    return {**_spread(what, distances), **wrong}


def _spread(what: str, values: Sequence[float]) -> Row:
    return {
        "what": f"{what}, {len(values)}",
        "median": round(float(numpy.median(values)), 3),
        "90 %": round(percentile(values, 90), 3),
        "least": round(min(values), 3),
        "most": round(max(values), 3),
    }


def rows(options: argparse.Namespace) -> Iterator[Row]:
    """All rows of the table."""
    if options.images or options.faceless or not options.held_out:
        yield from time_rows(options.repeat)
        yield faceless_row(options.faceless)
    if options.images is not None:
        samples = recall.annotated(options.images)
        yield from recall_rows(samples, _detectors())
        if faceengine.is_available("yunet"):
            yield from encoding_rows(samples)
            yield from pair_rows(samples)
    if options.held_out is not None:
        for row in recall_rows(held_out.samples(options.held_out), ("hog", "yunet")):
            yield {**row, "what": f"held out, {row['what']}"}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, help="a folder of annotated photos")
    parser.add_argument("--faceless", type=Path, help="a folder of pictures without a face")
    parser.add_argument("--held-out", type=Path, help="a folder for downloaded photos")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    done = []
    for name in _detectors():
        faceengine.load(name)
    for row in rows(options):
        cells = [f"{name} {value}" for name, value in row.items() if name not in ("what", "unit")]
        print(f"{row['what']:<58}{'  '.join(f'{cell:<18}' for cell in cells)}".rstrip(), flush=True)
        done.append(row)
    if options.json is not None:
        options.json.write_text(json.dumps(done, indent=1) + "\n")


if __name__ == "__main__":
    main()
