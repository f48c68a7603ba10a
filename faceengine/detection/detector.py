"""Face detection by one of three detectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from faceengine import hog
from faceengine.hog import Detection
from faceengine.types import DETECTORS, Detector

if TYPE_CHECKING:
    from faceengine.imaging.scaled import Size, View

# dlib's detectors search the image at twice its size, as `face_recognition.face_locations` does.
UPSAMPLE = 1

_DLIB_SMALLEST_PX = 37
"""Side of the smallest box of dlib's detectors: their windows of 80 pixels, in an image of twice
the size, as their pyramids map them back."""


def detect(view: View, detector: Detector) -> Sequence[Detection]:
    """The faces in `view`, in its pixels, best first; boxes may reach outside."""
    if detector == "hog":
        return hog.detect(view.pixels, upsample=UPSAMPLE)
    if detector == "yunet":
        from faceengine.detection import yunet_search

        return yunet_search.detect(view.image, view.scale_x)
    from faceengine.detection import cnn

    return cnn.detect(view.pixels, upsample=UPSAMPLE)


def smallest_face_px(size: Size, detector: Detector, scale: float = 1.0) -> float:
    """Side of the smallest box that `detect` finds in an image of `size` (width, height)."""
    if detector != "yunet":
        return _DLIB_SMALLEST_PX
    from faceengine.detection import yunet_search

    return yunet_search.smallest_face_px(size, scale)


def is_available(detector: Detector) -> bool:
    """Whether the weights of `detector` are here, so that loading it needs no download.

    True of "hog" and "cnn". Looks at files of the model cache alone (`configure`), imports nothing
    heavy.
    """
    if detector != "yunet":
        return True  # their weights are in a package that this one depends on
    from faceengine.detection import yunet_weights

    return yunet_weights.are_available()


def load(detector: Detector) -> None:
    """Load what `detect` needs."""
    if detector == "hog":
        hog.load()
        return
    if detector == "yunet":
        from faceengine.detection import yunet

        yunet.load()
        return
    from faceengine.detection import cnn

    cnn.load()


def checked(detector: str) -> Detector:
    """`detector` if there is one of that name, else `ValueError`."""
    for name in DETECTORS:
        if name == detector:
            return name
    raise ValueError(f"no detector is called {detector!r}; there are {', '.join(DETECTORS)}")
