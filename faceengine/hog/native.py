"""The compiled kernel behind ctypes: which library, its model, one call.

ctypes releases the global interpreter lock during a call, and the kernel keeps no state, so threads
detect at once and a process may fork at any time.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceengine.hog import build, model, reference
from faceengine.hog.boxes import Detection

STAGES = ("resampling", "gradients", "histograms", "features", "filters")
"""What a call's time goes to, in the order in which the kernel reports it."""


class NotUsable(Exception):
    """The compiled kernel can not be used here; the message says why."""


class _Model(ctypes.Structure):
    """``FacesHogModel`` of kernel/filters.h."""

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
    """``FacesHogBox`` of kernel/boxes.h; edges are inclusive."""

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
        self._detect = library(instruction_set).faces_hog_detect
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
        pixels = np.ascontiguousarray(pixels)
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


def best_kernel(load_dlib_detector: Callable[[], Any]) -> Kernel:
    """The kernel for this processor's best instruction set; ``NotUsable`` when there is none.

    dlib's detector is loaded only where the build left no reference.
    """
    best = usable_instruction_sets()[-1]
    known = find_reference() or take_reference(load_dlib_detector())
    kernel = Kernel(best, known.model)
    _check(kernel, known.expected)
    return kernel


def usable_instruction_sets() -> list[build.InstructionSet]:
    """Those that are compiled and that this processor has, the best last; ``NotUsable`` if none."""
    known = build.instruction_sets()
    level = library(known[0]).faces_hog_cpu_level()
    return [s for s in known[: level + 1] if build.find_library(s) is not None]


def find_reference() -> reference.Reference | None:
    """What the build took from dlib, if it is there for the installed version."""
    name = reference.file_name()
    file = build.find(name) if name else None
    return reference.read(file) if file else None


def take_reference(dlib_detector: Any) -> reference.Reference:
    """The same from dlib itself; ``NotUsable`` when this dlib has another detector."""
    try:
        return reference.from_dlib(dlib_detector)
    except model.UnknownDetector as error:
        raise NotUsable(f"this version of dlib has another detector: {error}") from error


def library(instruction_set: build.InstructionSet) -> ctypes.CDLL:
    """Load one compiled library; ``NotUsable`` when it is missing or can not be loaded."""
    try:
        path = build.find_library(instruction_set)
    except OSError as error:  # installed without its source: which library belongs to it?
        raise NotUsable(f"its source is not here: {error}") from error
    if path is None:
        raise NotUsable("it is not compiled: run `python -m faceengine.hog.build`")
    try:
        return ctypes.CDLL(str(path))
    except OSError as error:
        raise NotUsable(f"{path} can not be loaded: {error}") from error


def _check(kernel: Kernel, expected: list[Detection]) -> None:
    """Refuse a kernel that was miscompiled, or that a new dlib does not agree with."""
    found = kernel.detect(
        reference.check_image(), reference.CHECK_UPSAMPLE, reference.CHECK_THRESHOLD
    )
    boxes_differ = [d[:4] for d in found] != [d[:4] for d in expected]
    if boxes_differ or not np.allclose([d[4] for d in found], [d[4] for d in expected], atol=1e-4):
        raise NotUsable(f"native-{kernel.name} does not find what dlib finds")
