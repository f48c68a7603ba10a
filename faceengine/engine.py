"""Faces of an image, the whole way: detect, cut out, measure, encode."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

from PIL import Image

from faceengine import encoding, landmarks, quality
from faceengine.conversion import CHIP_SIDE_PX
from faceengine.detection import detector as detection
from faceengine.drawn import encode_boxes
from faceengine.encoders import DLIB, Encoder
from faceengine.encoding import distance
from faceengine.hog import Detection
from faceengine.imaging.decode import MAX_PIXELS, Source
from faceengine.imaging.scaled import Photo, View, photo
from faceengine.landmarks import AlignedFace
from faceengine.types import Box, Detector, Face, Faces, Quality

if TYPE_CHECKING:
    from faceengine.types import Encoding

__all__ = [
    "MAX_DETECTION_PIXELS",
    "Photo",
    "distance",
    "encode_boxes",
    "encode_many",
    "find_faces",
    "load",
    "open_photo",
]

MAX_DETECTION_PIXELS = 1920 * 1080
"""The default of the most pixels that are searched for faces; a larger image is reduced first."""


def open_photo(
    source: Source,
    *,
    max_detection_pixels: int = MAX_DETECTION_PIXELS,
    max_pixels: int = MAX_PIXELS,
) -> Photo:
    """Decode `source` once, to find its faces and then to use its pixels (`Photo.upright`).

    No more of a big JPEG is decoded than `find_faces` needs. A file must stay open as long as the
    photo is used. Raises as `load_image` does.
    """
    return photo(
        source, max_pixels=max_pixels, max_detection_pixels=max_detection_pixels, encode=True
    )


def find_faces(
    image: Image.Image | Source | Photo,
    detector: Detector = "hog",
    encode: bool = True,
    *,
    encoder: Encoder = DLIB,
    max_detection_pixels: int = MAX_DETECTION_PIXELS,
    max_pixels: int = MAX_PIXELS,
) -> Faces:
    """Find the faces of `image`, best first, as `face_recognition.face_locations` orders them.

    `image` is an upright Pillow image (`load_image` makes one), or a source that `load_image`
    takes: then no more of a big JPEG is decoded than is needed, and `max_pixels` is the pixel cap.
    Or it is a photo that `open_photo` has decoded with the same bound.
    `detector` is "hog", dlib's frontal face detector, "cnn", dlib's network for faces at any angle,
    or "yunet", whose weights are fetched separately (`is_available`). dlib's search the image at
    twice its size, and boxes are those of `face_recognition` on images of up to
    `max_detection_pixels`; YuNet's boxes frame a face alike. A larger image is searched at a
    smaller scale; boxes are in the full image's pixels all the same, and landmarks and encodings
    made from its full detail. `encoder` makes the encodings (`open_encoder`).

    Raises `ImageError` as `load_image` does, and `ModelError` where a model can not be loaded.
    """
    detector = detection.checked(detector)
    limits = {"max_detection_pixels": max_detection_pixels, "max_pixels": max_pixels}
    found = _find(image, detector, encoder if encode else None, **limits)
    return _encoded([found], encoder)[0] if encode else found.faces()


def encode_many(
    images: Iterable[Image.Image | Source],
    detector: Detector = "hog",
    *,
    encoder: Encoder = DLIB,
    max_detection_pixels: int = MAX_DETECTION_PIXELS,
    max_pixels: int = MAX_PIXELS,
) -> list[Faces]:
    """`find_faces` of each of `images`, in order, with all their faces encoded in one batch.

    One image is held in memory at a time. The first one that can not be used ends it with its
    `ImageError`; to go on without it, check the images first (`check_image`).
    """
    detector = detection.checked(detector)
    limits = {"max_detection_pixels": max_detection_pixels, "max_pixels": max_pixels}
    return _encoded([_find(image, detector, encoder, **limits) for image in images], encoder)


def load(detector: Detector = "hog", encoder: Encoder = DLIB) -> None:
    """Load every model that `find_faces` needs with `detector` and `encoder`, converted if need be.

    Optional: models load on first use. Call it once before a process forks its workers, and what
    is loaded is shared by all of them. With the provider "cuda", load after the fork instead.
    """
    detection.load(detection.checked(detector))
    landmarks.load()
    encoding.load(encoder)


@dataclass(frozen=True, slots=True)
class _Found:
    """A face before it is encoded."""

    box: Box
    quality: Quality
    chip: AlignedFace
    rotation: int

    def face(self, encoded: Encoding | None = None) -> Face:
        return Face(self.box, encoded, self.quality, self.chip.landmarks, self.rotation)


@dataclass(frozen=True, slots=True)
class _Search:
    """The faces of an image before they are encoded."""

    found: list[_Found]
    smallest_face_px: int

    def faces(self, encodings: Iterator[Encoding] | None = None) -> Faces:
        faces = [each.face(next(encodings) if encodings else None) for each in self.found]
        return Faces(faces, self.smallest_face_px)


def _find(
    image: Image.Image | Source | Photo,
    detector: Detector,
    encoder: Encoder | None,
    *,
    max_detection_pixels: int,
    max_pixels: int,
) -> _Search:
    if isinstance(image, Photo):
        picture = image
    else:
        # A face with too few pixels in a halved photo has it decoded whole after all (`_chips`).
        # HOG starts with the whole, because clients hold encodings that were made of it.
        picture = photo(
            image,
            max_pixels=max_pixels,
            max_detection_pixels=max_detection_pixels,
            encode=encoder is not None and detector != "yunet",
        )
    view = picture.whole(max_detection_pixels)
    detected = detection.detect(view, detector)
    outers = [_outer(view, each, detector) for each in detected]
    boxes = [_inner(outer, picture.size) for outer in outers]
    places = [(box, each.rotation) for box, each in zip(boxes, detected, strict=True)]
    # YuNet had no need of an array of the whole, so cutting out its faces shall have none either.
    whole = view if detector != "yunet" and picture.scale == view.scale_x == 1 else None
    chips = _chips(picture, whole, places, encoder)
    found = [
        _Found(
            box, quality.measure(outer, box, picture.size, each.score, chip), chip, each.rotation
        )
        for each, outer, box, chip in zip(detected, outers, boxes, chips, strict=True)
    ]
    smallest = detection.smallest_face_px(view.size, detector, view.scale_x) / view.scale_x
    return _Search(found, round(smallest))


def _chips(
    picture: Photo,
    whole: View | None,
    places: Sequence[tuple[Box, int]],
    encoder: Encoder | None,
) -> list[AlignedFace]:
    """The chips at `places` (box, rotation): from `whole`, a view of the full image, or from parts.

    A chip that a reduced image would have to enlarge is worth decoding the rest, if it is encoded.
    """
    cut = partial(landmarks.cut, encoder=encoder or DLIB)
    if whole is not None:
        return [cut(whole, *place) for place in places]
    chips = [cut(picture.around(place[0]), *place) for place in places]
    lacking = any(chip.side_px < CHIP_SIDE_PX for chip in chips)
    if encoder is not None and lacking and picture.sharpen():
        chips = [cut(picture.around(place[0]), *place) for place in places]
    return chips


def _outer(view: View, found: Detection, detector: Detector) -> Box:
    """The box in the full image's pixels; it may reach outside."""
    full = _scaled if detector == "yunet" else _full
    return Box(
        full(found.top, view.scale_y),
        full(found.right, view.scale_x),
        full(found.bottom, view.scale_y),
        full(found.left, view.scale_x),
    )


def _scaled(place: int, scale: float) -> int:
    return round(place / scale)


def _full(place: int, scale: float) -> int:
    """A detected edge, in pixels of an image reduced to `scale`, in pixels of the full image.

    The first half pixel of the offset is geometry: pixel 0 of the reduced image is the middle of
    several. The rest follows dlib, whose pyramid adds 0.3 pixels a level (`pyramid_down::point_up`)
    to the image of twice the size: summed over the levels that the reduction went down instead,
    3/4 of (1 / scale - 1). With it boxes lie within 1 to 3 pixels of those of the full image.
    """
    return round(place / scale + 1.25 * (1 / scale - 1))


def _inner(outer: Box, size: tuple[int, int]) -> Box:
    """`outer` cut to the image, as `face_recognition` cuts it."""
    width, height = size
    top, right, bottom, left = outer
    return Box(max(top, 0), min(right, width), min(bottom, height), max(left, 0))


def _encoded(searches: Sequence[_Search], encoder: Encoder) -> list[Faces]:
    """The faces of several images, encoded together."""
    found = chain.from_iterable(search.found for search in searches)
    encodings = iter(encoding.encode([each.chip.encoded for each in found], encoder))
    return [search.faces(encodings) for search in searches]
