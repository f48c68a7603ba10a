"""Face detection by one of two detectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from faceengine import hog
from faceengine.hog import Detection
from faceengine.types import DETECTORS, Detector

if TYPE_CHECKING:
    from faceengine.imaging.scaled import Pixels

# Both detectors search the image at twice its size, as `face_recognition.face_locations` does: HOG
# then finds faces from 40 pixels on, the CNN from 20.
UPSAMPLE = 1


def detect(pixels: Pixels, detector: Detector) -> Sequence[Detection]:
    """The faces in RGB `pixels`, uint8 (height, width, 3), best first; boxes may reach outside."""
    if detector == "hog":
        return hog.detect(pixels, upsample=UPSAMPLE)
    from faceengine.detection import cnn

    return cnn.detect(pixels, upsample=UPSAMPLE)


def load(detector: Detector) -> None:
    """Load what `detect` needs."""
    if detector == "hog":
        hog.load()
        return
    from faceengine.detection import cnn

    cnn.load()


def checked(detector: str) -> Detector:
    """`detector` if there is one of that name, else `ValueError`."""
    for name in DETECTORS:
        if name == detector:
            return name
    raise ValueError(f"no detector is called {detector!r}; there are {', '.join(DETECTORS)}")
