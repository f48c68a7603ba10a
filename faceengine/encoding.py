"""Chips to encodings: the network's part of recognising a face."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy

from faceengine.runtime import MODEL, once, session

if TYPE_CHECKING:
    from faceengine.imaging.scaled import Pixels
    from faceengine.types import Encoding

# SHA-256 of the file in face_recognition_models 0.3.0, which is dlib's own from dlib.net.
_DIGEST = "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30"

# Faces in one run of the network: past a few, more only cost memory (about 3 MB each).
_BATCH = 32


def encode(chips: Sequence[Pixels]) -> list[Encoding]:
    """Encode chips, each uint8 (150, 150, 3) RGB, as one batch: an array of 128 float32 each."""
    encodings: list[Encoding] = []
    for start in range(0, len(chips), _BATCH):
        batch = numpy.stack(chips[start : start + _BATCH])
        (result,) = _session().run(None, {"chips": batch})
        encodings.extend(numpy.array(row) for row in result)
    return encodings


def distance(a: Encoding, b: Encoding) -> float:
    """The Euclidean distance of two encodings of the same `MODEL`.

    About 0 for the same photo, and 0.6 is where `face_recognition` draws the line between one
    person and two.
    """
    return float(numpy.linalg.norm(numpy.subtract(a, b, dtype=numpy.float64)))


def load() -> None:
    """Load the network now, converting it first if it never was."""
    _session()


def _session() -> Any:
    return once("encoder", lambda: session(f"{MODEL}.dat", _DIGEST, MODEL, _build))


def _build(data: bytes) -> bytes:
    # Writing ONNX needs the package onnx, a tenth of a second that a filled cache saves.
    from faceengine.conversion import encoder

    return encoder.build(data)
