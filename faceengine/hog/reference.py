"""What the kernel takes from dlib: the weights, and boxes to check itself by when it is loaded.

dlib needs a third of a second to unpack its detector. So the build writes both down beside the
compiled libraries, for the installed version of dlib, and a worker starts without dlib's detector.
Without that file, or with a damaged one, they are taken from dlib itself.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import tempfile
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceengine.hog import model
from faceengine.hog.boxes import Detection, detections_of

CHECK_UPSAMPLE = 1
CHECK_THRESHOLD = -2.0
"""So low that boxes come without any face in the image."""


@dataclass(frozen=True)
class Reference:
    """dlib's model, and what dlib finds in `check_image`."""

    model: model.Model
    expected: list[Detection]


def check_image() -> NDArray[np.uint8]:
    """Coarse noise, (120, 150, 3): boxes of several levels, and small enough for every start."""
    noise = np.random.default_rng(5).integers(0, 256, (24, 30, 3), dtype=np.uint8)
    return np.ascontiguousarray(noise.repeat(5, axis=0).repeat(5, axis=1))


def from_dlib(dlib_detector: Any) -> Reference:
    """Take the reference from dlib; ``UnknownDetector`` when this dlib has another detector."""
    found = dlib_detector.run(check_image(), CHECK_UPSAMPLE, CHECK_THRESHOLD)
    return Reference(model.read(dlib_detector), detections_of(found))


def file_name() -> str | None:
    """The name of the file for the installed dlib and this source; ``None`` without dlib."""
    version = _dlib_version()
    if version is None:
        return None
    sources = [Path(__file__).read_bytes(), Path(model.__file__).read_bytes()]
    digest = hashlib.sha256(b"\0".join(sources)).hexdigest()[:16]
    return f"{digest}-dlib-{version}.npz"


def _dlib_version() -> str | None:
    for distribution in ("dlib-bin", "dlib"):
        try:
            return importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None


def write(reference: Reference, file: Path) -> None:
    """Write atomically: a reader finds the whole file or none."""
    with tempfile.NamedTemporaryFile(dir=file.parent, suffix=".tmp", delete=False) as scratch:
        boxes, scores = [d[:4] for d in reference.expected], [d.score for d in reference.expected]
        np.savez(scratch, boxes=boxes, scores=scores, **asdict(reference.model))
    os.chmod(scratch.name, 0o644)  # temporary files are their owner's alone
    os.replace(scratch.name, file)


def read(file: Path) -> Reference | None:
    """Read what `write` wrote; ``None`` when there is no such file, or a damaged one."""
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            boxes, scores = arrays["boxes"].tolist(), arrays["scores"].tolist()
            fields = {name: arrays[name] for name in model.Model.__dataclass_fields__}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    numbers = {name: value.tolist() for name, value in fields.items() if name in _NOT_ARRAYS}
    expected = [
        Detection(top, right, bottom, left, score)
        for (top, right, bottom, left), score in zip(boxes, scores, strict=True)
    ]
    return Reference(model.Model(**{**fields, **numbers}), expected)


_NOT_ARRAYS = {
    *("first_part", "overlap_iou", "overlap_covered"),
    *("smallest_width_px", "smallest_height_px"),
}
