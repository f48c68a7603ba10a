"""The result of a detector."""

from __future__ import annotations

from typing import Any, NamedTuple


class Detection(NamedTuple):
    """One face: its box in pixels of the image given, and how far it scored above the threshold.

    ``right`` and ``bottom`` are inclusive, as dlib's ``right()`` and ``bottom()`` and as
    ``face_recognition`` passes them on. The box may reach beyond the image. ``rotation`` is how far
    the face is turned clockwise: 0, 90, 180 or 270 degrees.
    """

    top: int
    right: int
    bottom: int
    left: int
    score: float
    rotation: int = 0


def detections_of(found: Any) -> list[Detection]:
    """Turn what ``dlib.fhog_object_detector.run`` returns into detections, in its order."""
    rectangles, scores, _ = found
    return [
        Detection(box.top(), box.right(), box.bottom(), box.left(), score)
        for box, score in zip(rectangles, scores, strict=True)
    ]
