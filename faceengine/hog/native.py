"""The compiled kernel behind ctypes: which library, its model, one call.

ctypes releases the global interpreter lock during a call, and the kernel keeps no state, so threads
detect at once and a process may fork at any time.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import build, model
from .boxes import Detection, detections_of

STAGES = ("resampling", "gradients", "histograms", "features", "filters")
"""What a call's time goes to, in the order in which the kernel reports it."""


class NotUsable(Exception):
    """The compiled kernel can not be used here; the message says why."""


class _Model(ctypes.Structure):
    """``FacesHogModel`` of kernel.cpp."""

    _fields_ = [
        ("first_part", ctypes.c_int64 * (model.BANKS + 1)),
        ("planes", ctypes.c_void_p),
        ("weights", ctypes.c_void_p),
        ("thresholds", ctypes.c_double * model.BANKS),
        ("overlap_iou", ctypes.c_double),
        ("overlap_covered", ctypes.c_double),
        ("smallest_width", ctypes.c_int64),
        ("smallest_height", ctypes.c_int64),
    ]


class _Box(ctypes.Structure):
    """``FacesHogBox`` of kernel.cpp; edges are inclusive."""

    _fields_ = [
        ("left", ctypes.c_int64),
        ("top", ctypes.c_int64),
        ("right", ctypes.c_int64),
        ("bottom", ctypes.c_int64),
        ("score", ctypes.c_double),
    ]


class Kernel:
    """One compiled library with dlib's model: immutable, so any number of threads may use it."""

    def __init__(self, instruction_set: build.InstructionSet, weights: model.Model) -> None:
        self.name = instruction_set.name
        self._weights = weights  # keeps alive the arrays that the structure points to
        self._model = _Model(
            (ctypes.c_int64 * len(weights.first_part))(*weights.first_part),
            weights.planes.ctypes.data,
            weights.weights.ctypes.data,
            (ctypes.c_double * len(weights.thresholds))(*weights.thresholds),
            weights.overlap_iou,
            weights.overlap_covered,
            weights.smallest_width_px,
            weights.smallest_height_px,
        )
        self._detect = _library(instruction_set).faces_hog_detect
        self._detect.restype = ctypes.c_int64
        self._detect.argtypes = [
            *(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_int32),
            *(ctypes.c_double, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p),
        ]

    def detect(
        self,
        pixels: NDArray[np.uint8],
        upsample: int,
        adjust_threshold: float,
        seconds: NDArray[np.float64] | None = None,
    ) -> list[Detection]:
        """As ``faceengine.hog.detect``; to ``seconds`` (5,) float64 those of `STAGES` are added."""
        capacity = 16
        while True:
            boxes = (_Box * capacity)()
            found = self._detect(
                ctypes.byref(self._model),
                pixels.ctypes.data,
                *pixels.shape[:2],
                upsample,
                adjust_threshold,
                boxes,
                capacity,
                None if seconds is None else seconds.ctypes.data,
            )
            if found < 0:
                raise MemoryError(
                    f"no memory to detect faces in {pixels.shape[1]}x{pixels.shape[0]}"
                )
            if found <= capacity:
                return [Detection(b.top, b.right, b.bottom, b.left, b.score) for b in boxes[:found]]
            capacity = found


def best_kernel(dlib_detector: Any) -> Kernel:
    """The kernel for this processor's best instruction set; ``NotUsable`` when there is none."""
    usable = usable_instruction_sets()
    kernel = Kernel(usable[-1], read_model(dlib_detector))
    _check(kernel, dlib_detector)
    return kernel


def usable_instruction_sets() -> list[build.InstructionSet]:
    """Those that are compiled and that this processor has, the best last; ``NotUsable`` if none."""
    known = build.instruction_sets()
    level = _library(known[0]).faces_hog_cpu_level()
    return [s for s in known[: level + 1] if build.find_library(s) is not None]


def _library(instruction_set: build.InstructionSet) -> ctypes.CDLL:
    path = build.find_library(instruction_set)
    if path is None:
        raise NotUsable("it is not compiled: run `python -m faceengine.hog.build`")
    try:
        return ctypes.CDLL(str(path))
    except OSError as error:
        raise NotUsable(f"{path} can not be loaded: {error}") from error


def read_model(dlib_detector: Any) -> model.Model:
    """The weights of dlib's detector; ``NotUsable`` when this dlib has another."""
    try:
        return model.read(dlib_detector)
    except model.UnknownDetector as error:
        raise NotUsable(f"this version of dlib has another detector: {error}") from error


def _check(kernel: Kernel, dlib_detector: Any) -> None:
    """Detect once beside dlib, lest a miscompiled kernel be used, or a new dlib be unlike it.

    A threshold as low as this gives boxes without any face in the image.
    """
    noise = np.random.default_rng(5).integers(0, 256, (24, 30, 3), dtype=np.uint8)
    pixels = np.ascontiguousarray(noise.repeat(5, axis=0).repeat(5, axis=1))
    expected = detections_of(dlib_detector.run(pixels, 1, -2.0))
    found = kernel.detect(pixels, 1, -2.0)
    boxes_differ = [d[:4] for d in found] != [d[:4] for d in expected]
    if boxes_differ or not np.allclose([d[4] for d in found], [d[4] for d in expected], atol=1e-4):
        raise NotUsable(f"native-{kernel.name} does not find what dlib finds")
