"""dlib's CNN face detector (`cnn_face_detection_model_v1`) on ONNX Runtime, by dlib's own rules.

The network slides one window of 80 × 80 pixels over an image pyramid whose levels, each 5/6 of the
one before, are laid out on one large canvas (`faceengine.detection.tiled_pyramid`). Every place of
the last layer with a score above 0 is a window; it is mapped back through the layers to the canvas,
through the pyramid to the image, and kept unless it overlaps a better one.

After dlib/dnn/loss.h (`loss_mmod_`), dlib/dnn/input.h (`input_rgb_image_pyramid`) and
tools/python/src/cnn_face_detector.cpp of dlib 20.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import dlib
import numpy

from faceengine.detection.tiled_pyramid import Canvas, tiled
from faceengine.hog import Detection
from faceengine.runtime import once, session

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from faceengine.imaging.scaled import Pixels

    Scores: TypeAlias = NDArray[numpy.float32]

# SHA-256 of the file in face_recognition_models 0.3.0, which is dlib's own from dlib.net.
_DIGEST = "4cb19393e2fbaf2b1609a9319ad5386618c886a6234ec1b971f3e87c85d87fe6"
_FILE = "mmod_human_face_detector.dat"

_WINDOW_PX = 80  # mmod_options.detector_windows, as stored in the file
_STRIDE_PX = 8
_FIRST_CENTRE_PX = 14  # x -> 2x + 2, the middle of a 5 × 5 filter of stride 2, three times
_FIELD_PX = 29  # what one place of the features looks at
_MAX_OVERLAP = 0.3382761351109955  # mmod_options.overlaps_nms, as stored in the file

# Rows of features made at a time: at 3840 × 2160 a strip takes 25 MB instead of 700 for the whole,
# and stays in the processor's cache.
_STRIP = 16


def detect(pixels: Pixels, *, upsample: int = 1) -> list[Detection]:
    """Find faces in RGB `pixels`, uint8 (height, width, 3), best first, as dlib's detector does.

    `upsample` doubles the image that many times first: the smallest face found is 40 pixels wide
    with 1. Boxes may reach beyond the image.
    """
    for _ in range(upsample):
        rows, columns = pixels.shape[:2]
        # The size that dlib's pyramid_up with pyramid_down<2> makes of an image.
        pixels = dlib.resize_image(pixels, 2 * rows + 1, 2 * columns + 2)
    canvas = tiled(pixels)
    if canvas.pixels.shape[0] < _FIELD_PX or canvas.pixels.shape[1] < _FIELD_PX:
        return []
    return [_detection(rect, score, upsample) for rect, score in _windows(canvas, _scores(canvas))]


def load() -> None:
    """Load the network now, converting it first if it never was."""
    _features(), _last_layers()


def _scores(canvas: Canvas) -> Scores:
    """The network's last layer on the canvas, float32 (rows, columns)."""
    count = (canvas.pixels.shape[0] - _FIELD_PX) // _STRIDE_PX + 1
    strips = []
    for start in range(0, count, _STRIP):
        rows = min(_STRIP, count - start) - 1
        first = start * _STRIDE_PX
        strip = canvas.pixels[first : first + rows * _STRIDE_PX + _FIELD_PX]
        strips.append(_features().run(None, {"pixels": strip})[0])
    features = numpy.concatenate(strips, axis=2)
    scores: Scores = _last_layers().run(None, {"features": features})[0][0, 0]
    return scores


def _windows(canvas: Canvas, scores: Scores) -> list[tuple[Any, float]]:
    """The image's rectangles with a positive score, best first, without those that overlap one."""
    rows, columns = numpy.nonzero(scores > 0)
    found: list[tuple[Any, float]] = []
    for index in numpy.argsort(-scores[rows, columns], kind="stable"):
        row, column = int(rows[index]), int(columns[index])
        x = column * _STRIDE_PX + _FIRST_CENTRE_PX
        y = row * _STRIDE_PX + _FIRST_CENTRE_PX
        rect = canvas.image_rectangle(x, y, _WINDOW_PX)
        if not any(_overlap(rect, better) for better, _ in found):
            found.append((rect, float(scores[row, column])))
    return found


def _overlap(a: Any, b: Any) -> bool:
    """dlib's test_box_overlap; its second threshold is 1 here, so nothing ever exceeds it."""
    inner = a.intersect(b).area()
    return bool(inner / (a.area() + b.area() - inner) > _MAX_OVERLAP)


def _detection(rect: Any, score: float, upsampled: int) -> Detection:
    rect = dlib.pyramid_down(2).rect_down(rect, upsampled)
    return Detection(rect.top(), rect.right(), rect.bottom(), rect.left(), score)


def _features() -> Any:
    name = "mmod_human_face_detector_features"
    return once(name, lambda: session(_FILE, _DIGEST, name, _build_features))


def _last_layers() -> Any:
    name = "mmod_human_face_detector_scores"
    return once(name, lambda: session(_FILE, _DIGEST, name, _build_scores))


def _build_features(data: bytes) -> bytes:
    # Writing ONNX needs the package onnx, a tenth of a second that a filled cache saves.
    from faceengine.conversion import detector

    return detector.build_features(data)


def _build_scores(data: bytes) -> bytes:
    from faceengine.conversion import detector

    return detector.build_scores(data)
