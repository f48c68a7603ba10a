"""dlib's frontal face detector: histograms of oriented gradients under five linear filters."""

from __future__ import annotations

import threading
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_load_lock = threading.Lock()


class Detection(NamedTuple):
    """One detected face: its box in pixels of the image given, and how far above the threshold it scored.

    The box is dlib's turned into edges as ``face_recognition`` names them: ``right`` and ``bottom`` are dlib's
    inclusive ``right()`` and ``bottom()``. It may reach beyond the image.
    """

    top: int
    right: int
    bottom: int
    left: int
    score: float


def detect(
    pixels: NDArray[np.uint8], *, upsample: int = 1, adjust_threshold: float = 0.0
) -> list[Detection]:
    """Find frontal faces in RGB ``pixels`` of shape (height, width, 3), uint8, C-contiguous.

    Boxes, scores and their order (best first) are those of ``dlib.get_frontal_face_detector().run``.
    ``upsample`` doubles the image that many times first: the smallest face found is 80 pixels wide without.
    Only faces scoring at least ``adjust_threshold`` are returned.
    """
    rectangles, scores, _ = _dlib_detector().run(pixels, upsample, adjust_threshold)
    return [
        Detection(box.top(), box.right(), box.bottom(), box.left(), score)
        for box, score in zip(rectangles, scores, strict=True)
    ]


def load() -> None:
    """Load the detector now rather than on first use; safe to call again, and from several threads."""
    _dlib_detector()


def backend() -> str:
    """Name what ``detect`` runs on: ``native-avx512``, ``native-avx2``, ``native-baseline`` or ``dlib``."""
    return "dlib"


def _dlib_detector() -> Any:
    with _load_lock:
        return _load_dlib_detector()


@cache
def _load_dlib_detector() -> Any:
    import dlib

    return dlib.get_frontal_face_detector()
