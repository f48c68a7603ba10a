"""Faces in boxes that were drawn by hand: aligned to what a detector sees there, then encoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from faceengine import encoding, landmarks, quality
from faceengine.conversion import CHIP_SIDE_PX
from faceengine.detection import detector as detection
from faceengine.encoders import DLIB, Encoder
from faceengine.imaging.scaled import Photo, View
from faceengine.types import DETECTORS, Box, Face, Reason, overlap

if TYPE_CHECKING:
    from faceengine.hog import Detection
    from faceengine.landmarks import AlignedFace
    from faceengine.types import Quality

_SIDE_PX: Final = 120
"""Of the box's longer side in the pixels that are searched: each detector finds such faces best."""

_MIN_OVERLAP: Final = 0.25
"""Of a drawn box and the face in it: a hand draws up to the hair, detectors to the brows."""


def encode_boxes(photo: Photo, boxes: Sequence[Box], *, encoder: Encoder = DLIB) -> list[Face]:
    """The faces in `boxes` of the full image, in order; each keeps the box that was drawn.

    One that is too poor to be recognised, or in which no detector sees a face (`Reason.UNCLEAR`),
    has no encoding. Raises `ImageError` where the image can not be decoded in detail.
    """
    found = [_found(photo, box, encoder) for box in boxes]
    clear = [each for each in found if each.quality.reason is None]
    encodings = iter(encoding.encode([each.chip.encoded for each in clear], encoder))
    return [
        Face(
            box,
            next(encodings) if each.quality.reason is None else None,
            each.quality,
            each.chip.landmarks,
            each.rotation,
        )
        for box, each in zip(boxes, found, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class _Found:
    quality: Quality
    chip: AlignedFace
    rotation: int


def _found(photo: Photo, box: Box, encoder: Encoder) -> _Found:
    seen = _seen(photo.around(box), box)
    outer, score, rotation = seen or (box, 0.0, 0)
    chip = landmarks.cut(photo.around(outer), outer, rotation, encoder)
    if chip.side_px < CHIP_SIDE_PX and photo.sharpen():
        chip = landmarks.cut(photo.around(outer), outer, rotation, encoder)
    width, height = photo.size
    inner = Box(
        max(outer.top, 0), min(outer.right, width), min(outer.bottom, height), max(outer.left, 0)
    )
    measured = quality.measure(outer, inner, photo.size, score, chip)
    if seen is None:
        measured = replace(measured, reason=Reason.UNCLEAR)
    return _Found(measured, chip, rotation)


def _seen(view: View, box: Box) -> tuple[Box, float, int] | None:
    """Box, score and rotation of the face in `box`, by the first detector that sees one."""
    factor = _SIDE_PX / max(box.width * view.scale_x, box.height * view.scale_y)
    size = max(1, round(view.size[0] * factor)), max(1, round(view.size[1] * factor))
    scales = size[0] / view.size[0], size[1] / view.size[1]
    scaled = View(
        view.image.resize(size), scale_x=view.scale_x * scales[0], scale_y=view.scale_y * scales[1]
    )
    for name in DETECTORS:
        if not detection.is_available(name):
            continue
        detected = detection.detect(scaled, name)
        faces = [(_full(each, view, scales), each.score, each.rotation) for each in detected]
        best = max(faces, key=lambda face: overlap(face[0], box), default=None)
        if best is not None and overlap(best[0], box) >= _MIN_OVERLAP:
            return best
    return None


def _full(found: Detection, view: View, scales: tuple[float, float]) -> Box:
    """The box of `found` in the full image's pixels."""

    def across(place: int) -> int:
        return round((place / scales[0] + view.left) / view.scale_x)

    def down(place: int) -> int:
        return round((place / scales[1] + view.top) / view.scale_y)

    return Box(down(found.top), across(found.right), down(found.bottom), across(found.left))
