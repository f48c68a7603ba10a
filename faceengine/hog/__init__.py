"""dlib's frontal face detector: histograms of oriented gradients under five linear filters.

Run by a compiled kernel of our own that finds the same boxes several times faster
(docs/decisions/0003-hog-kernel.md), or by dlib itself where that kernel is not built.
"""

from __future__ import annotations

import logging
import threading
from functools import cache
from typing import TYPE_CHECKING, Any

from faceengine.hog.boxes import Detection, detections_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from faceengine.hog.native import Kernel

__all__ = ["Detection", "backend", "detect", "load"]

_log = logging.getLogger(__name__)
_load_lock = threading.Lock()


def detect(
    pixels: NDArray[np.uint8], *, upsample: int = 1, adjust_threshold: float = 0.0
) -> list[Detection]:
    """Find frontal faces in RGB ``pixels`` of shape (height, width, 3), uint8.

    Boxes and their order (best first) are those of ``dlib.get_frontal_face_detector().run``, scores
    the same within 1e-5. The smallest face found is 80 pixels wide, and half of that for each
    ``upsample``, which doubles the image first. Only faces that score at least ``adjust_threshold``
    are returned. What is no such image, dlib refuses with its own errors.
    """
    kernel = _kernel()
    if kernel is not None and _is_rgb(pixels) and 0 <= upsample <= _MOST_DOUBLINGS:
        return kernel.detect(pixels, upsample, adjust_threshold)
    return detections_of(_dlib_detector().run(pixels, upsample, adjust_threshold))


def load() -> None:
    """Load the detector now rather than on first use; again is safe, and from several threads."""
    if _kernel() is None:
        _dlib_detector()


def backend() -> str:
    """What ``detect`` runs on: ``native-`` and an instruction set (``avx512``), or ``dlib``."""
    kernel = _kernel()
    return "dlib" if kernel is None else f"native-{kernel.name}"


# More would not fit into any memory; dlib may say so.
_MOST_DOUBLINGS = 8


def _kernel() -> Kernel | None:
    # The lock is for the first call alone: `cache` would let two threads load at once.
    if _load_kernel.cache_info().currsize:
        return _load_kernel()
    with _load_lock:
        return _load_kernel()


def _dlib_detector() -> Any:
    if _load_dlib_detector.cache_info().currsize:
        return _load_dlib_detector()
    with _load_lock:
        return _load_dlib_detector()


@cache
def _load_kernel() -> Kernel | None:
    from faceengine.hog import native

    try:
        return native.best_kernel(_load_dlib_detector)
    except native.NotUsable as error:
        _log.warning("dlib detects faces, the faster kernel does not: %s", error)
        return None


@cache
def _load_dlib_detector() -> Any:
    import dlib

    return dlib.get_frontal_face_detector()


def _is_rgb(pixels: Any) -> bool:
    return getattr(pixels, "dtype", None) == "uint8" and pixels.ndim == 3 and pixels.shape[2] == 3
