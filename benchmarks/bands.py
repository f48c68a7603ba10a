"""How often `sure`, `likely` and `possible` are wrong, with the detectors and the encoder of today.

    python -m benchmarks.bands --images FOLDER [--json FILE]

`FOLDER` has annotated photographs of different people (`benchmarks.recall.annotated`). Each face
that is good enough is one contact of a gallery. A probe is the face in the photo as it was spoiled
(`recall.CHANGES`). It is asked about twice, as the confidence assumes: of the gallery as it is, and
of the gallery without its contact, where every name is wrong. A spoiled picture is nearer to its
own than another picture of that person would be: so right names come more often than in life; the
wrong ones are of other people, and are what this measures.
"""

from __future__ import annotations

import argparse
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import django
import numpy
from numpy.typing import NDArray

import faceengine
from benchmarks import recall
from benchmarks.report import Figure, show

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backend.settings")
django.setup()

from backend.recognition.gallery import confidence  # noqa: E402

_CURVE: Final = confidence.Curve(slope=40, midpoint=0.6)
_UNKNOWN: Final = 0.2
"""The settings' defaults."""

_BANDS: Final = ("sure", "likely", "possible", "unknown")

Encodings = NDArray[numpy.float32]


def faces(sample: recall.Sample, detector: faceengine.Detector) -> Iterator[tuple[int, Encodings]]:
    """The numbers of annotated faces that were found and are good enough, and their encodings."""
    for face in faceengine.find_faces(sample.image, detector):
        if face.encoding is None or face.quality is None or face.quality.reason:
            continue
        across, down = (face.box.left + face.box.right) / 2, (face.box.top + face.box.bottom) / 2
        for number, (x, y, side) in enumerate(sample.faces):
            if max(abs(across - x), abs(down - y)) < side / 2:
                yield number, face.encoding
                break


def answer(probe: Encodings, gallery: Encodings) -> tuple[int, str]:
    """The nearest contact, and the word for how sure that is."""
    distances = numpy.linalg.norm(gallery - probe, axis=1)
    nearest, next_one = numpy.argsort(distances)[:2]
    gap = float(distances[next_one] - distances[nearest])
    sure = confidence.estimate(float(distances[nearest]), gap, contacts=len(gallery), by=_CURVE)
    return int(nearest), "unknown" if sure < _UNKNOWN else confidence.in_a_word(sure)


def counted(folder: Path, detector: faceengine.Detector) -> tuple[Counter[str], Counter[str]]:
    """How many answers of each band were right, and how many wrong."""
    photos = recall.annotated(folder)
    contacts = {
        (place, number): encoding
        for place, photo in enumerate(photos)
        for number, encoding in faces(photo, detector)
    }
    keys, gallery = list(contacts), numpy.stack(list(contacts.values()))
    right, wrong = Counter[str](), Counter[str]()
    for place, photo in enumerate(photos):
        for name, change in recall.CHANGES.items():
            if name == "unchanged":
                continue
            for spoiled in change(photo):
                if len(spoiled.faces) != len(photo.faces):
                    continue  # a part of it, whose faces have other numbers
                for number, probe in faces(spoiled, detector):
                    if (place, number) not in contacts:
                        continue
                    own = keys.index((place, number))
                    nearest, band = answer(probe, gallery)
                    (right if nearest == own else wrong)[band] += 1
                    _, band = answer(probe, numpy.delete(gallery, own, axis=0))
                    wrong[band] += 1
    return right, wrong


def figures(folder: Path) -> Iterator[Figure]:
    """Rows of the table."""
    for detector in ("yunet", "hog"):
        if not faceengine.is_available(detector):
            continue
        right, wrong = counted(folder, detector)
        for band in _BANDS:
            count = right[band] + wrong[band]
            share = 100 * wrong[band] / count if count else 0.0
            note = "" if band == "unknown" else f"wrong: {wrong[band]} of {count}"
            if band == "unknown":
                note = f"{right[band]} of them known"
                yield Figure(f"{detector}: {band}", count, "answers", note=note)
            else:
                yield Figure(f"{detector}: {band}", share, "% wrong", note=note)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    show(figures(options.images), options.json)


if __name__ == "__main__":
    main()
