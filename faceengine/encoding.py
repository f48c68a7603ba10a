"""Chips to encodings: the network's part of recognising a face."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy

from faceengine.encoders import DLIB, Encoder
from faceengine.errors import ModelError
from faceengine.runtime import MODEL, once, opened, session

if TYPE_CHECKING:
    from faceengine.imaging.scaled import Pixels
    from faceengine.types import Encoding

# SHA-256 of the file in face_recognition_models 0.3.0, which is dlib's own from dlib.net.
_DIGEST = "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30"


def encode(chips: Sequence[Pixels], encoder: Encoder = DLIB) -> list[Encoding]:
    """Encode chips of `encoder` as one batch: an array of float32 (`encoder.dimensions`,) each.

    A chip is uint8 RGB: (150, 150, 3) of dlib's, (112, 112, 3) of others (`landmarks.cut`).
    """
    encodings: list[Encoding] = []
    step = encoder.batch
    for start in range(0, len(chips), step):
        batch = numpy.stack(chips[start : start + step])
        (result,) = _session(encoder).run(None, {"chips": batch})
        encodings.extend(numpy.array(row) for row in result)
    return encodings


def distance(a: Encoding, b: Encoding) -> float:
    """The Euclidean distance of two encodings by the same encoder.

    Of dlib's: about 0 for the same photo, and 0.6 is where `face_recognition` draws the line
    between one person and two.
    """
    return float(numpy.linalg.norm(numpy.subtract(a, b, dtype=numpy.float64)))


def load(encoder: Encoder = DLIB) -> None:
    """Load the network now; dlib's is converted first if it never was."""
    _session(encoder)


def _session(encoder: Encoder) -> Any:
    return once(f"encoder {encoder.name}", lambda: _opened(encoder))


def _opened(encoder: Encoder) -> Any:
    if encoder.network is None:
        return session(f"{MODEL}.dat", _DIGEST, MODEL, _build)
    try:
        with encoder.network.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"The encoder {encoder.network} cannot be read: {error}.") from error
    if found != encoder.digest:
        raise ModelError(f"The encoder {encoder.network} is damaged: convert it again.")
    return opened(encoder.network)


def _build(data: bytes) -> bytes:
    # Writing ONNX needs the package onnx, a tenth of a second that a filled cache saves.
    from faceengine.conversion import encoder

    return encoder.build(data)
