"""The library whose answers ours must equal: face_recognition, for tests and benchmarks alone."""

import warnings
from typing import Any

import numpy
from numpy.typing import NDArray
from PIL import Image, ImageFile

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # pkg_resources announces its end
    import face_recognition

# Its import switches this on for the whole process, and half a JPEG would be an image.
ImageFile.LOAD_TRUNCATED_IMAGES = False

__all__ = ["Box", "cnn", "encodings", "face_recognition", "iou", "locations", "pixels"]

Box = tuple[int, int, int, int]


def pixels(image: Image.Image) -> NDArray[numpy.uint8]:
    """What face_recognition.load_image_file would make of `image`."""
    return numpy.asarray(image.convert("RGB"))


def locations(image: Image.Image, model: str = "hog") -> list[Box]:
    """Boxes (top, right, bottom, left)."""
    found: list[Box] = face_recognition.face_locations(pixels(image), model=model)
    return found


def cnn(image: Image.Image) -> list[tuple[Box, float]]:
    """Boxes and scores of the CNN detector."""
    raw: list[Any] = list(face_recognition.api.cnn_face_detector(pixels(image), 1))
    boxes = locations(image, "cnn")
    return [(box, face.confidence) for box, face in zip(boxes, raw, strict=True)]


def encodings(image: Image.Image, boxes: list[Box]) -> list[NDArray[numpy.float64]]:
    """The 128 numbers of each face in `boxes`."""
    found: list[NDArray[numpy.float64]] = face_recognition.face_encodings(
        pixels(image), known_face_locations=boxes, model="small"
    )
    return found


def iou(a: Box, b: Box) -> float:
    """Intersection over union of two boxes (top, right, bottom, left)."""
    height = min(a[2], b[2]) - max(a[0], b[0])
    width = min(a[1], b[1]) - max(a[3], b[3])
    inner = max(0, height) * max(0, width)
    return inner / (_area(a) + _area(b) - inner)


def _area(box: Box) -> int:
    return (box[2] - box[0]) * (box[1] - box[3])
