"""Faces of an image, the whole way: detect, measure, encode."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

import dlib
import numpy
from numpy.typing import NDArray
from PIL import Image

from .faces import Box, Face, Point, Pose, Quality
from .images import Source, load_image
from .runtime import model_file, once

if TYPE_CHECKING:
    from .faces import Encoding

Detector = Literal["hog", "cnn"]
DETECTORS: tuple[Detector, ...] = ("hog", "cnn")
MAX_DETECTION_PIXELS = 1920 * 1080


def find_faces(
    image: Image.Image | Source,
    detector: Detector = "hog",
    encode: bool = True,
    *,
    max_detection_pixels: int = MAX_DETECTION_PIXELS,
) -> list[Face]:
    if detector not in DETECTORS:
        raise ValueError(f"no detector is called {detector!r}; there are {', '.join(DETECTORS)}")
    picture = image if isinstance(image, Image.Image) else load_image(image)
    pixels = numpy.asarray(picture.convert("RGB"))
    scale = min(1.0, (max_detection_pixels / (picture.width * picture.height)) ** 0.5)
    small = pixels
    if scale < 1:
        size = (round(picture.width * scale), round(picture.height * scale))
        small = numpy.asarray(picture.resize(size, Image.Resampling.BOX, reducing_gap=2.0))
    predictor = once("landmarks", lambda: dlib.shape_predictor(str(model_file("shape_predictor_5_face_landmarks.dat"))))
    encoder = once("encoder", lambda: dlib.face_recognition_model_v1(str(model_file("dlib_face_recognition_resnet_model_v1.dat"))))
    faces = []
    for raw, score in _detect(small, detector):
        top, right, bottom, left = (round(side / scale) for side in raw)
        box = Box(max(top, 0), min(right, picture.width), min(bottom, picture.height), max(left, 0))
        shape = predictor(pixels, dlib.rectangle(box.left, box.top, box.right, box.bottom))
        encoding = None
        if encode:
            encoding = numpy.array(encoder.compute_face_descriptor(pixels, shape), numpy.float32)
        quality = Quality(score, min(box.width, box.height), 0.0, Pose(0.0, 0.0), None)
        faces.append(Face(box, encoding, quality, tuple(Point(p.x, p.y) for p in shape.parts())))
    return faces


def _detect(pixels: NDArray[numpy.uint8], detector: Detector) -> list[tuple[Any, float]]:
    if detector == "cnn":
        net = once("cnn", lambda: dlib.cnn_face_detection_model_v1(str(model_file("mmod_human_face_detector.dat"))))
        return [((f.rect.top(), f.rect.right(), f.rect.bottom(), f.rect.left()), f.confidence) for f in net(pixels, 1)]
    hog = once("hog", dlib.get_frontal_face_detector)
    rects, scores, _ = hog.run(pixels, 1, 0.0)
    return [((r.top(), r.right(), r.bottom(), r.left()), s) for r, s in zip(rects, scores, strict=True)]


def encode_many(images: Iterable[Image.Image | Source], detector: Detector = "hog") -> list[list[Face]]:
    return [find_faces(image, detector) for image in images]


def load(detector: Detector = "hog") -> None:
    find_faces(Image.new("RGB", (64, 64)), detector)


def distance(a: Encoding, b: Encoding) -> float:
    return float(numpy.linalg.norm(numpy.asarray(a, numpy.float64) - numpy.asarray(b, numpy.float64)))
