"""Face detectors by name: those that this process can run, and the defaults of the settings.

A request may name one. `""` everywhere means that it names none: then the settings decide.
"""

from typing import Final

from django.conf import settings

import faceengine
from faceengine import Detector

NAMES: Final = faceengine.DETECTORS

_AUTO: Final[tuple[Detector, ...]] = ("hog",)
"""The preferences of `FACES_DETECTOR=auto`."""

_ENCODERS: Final[tuple[Detector, ...]] = ("hog", "cnn")
"""dlib's: golden encodings are made from their boxes."""


def available() -> tuple[Detector, ...]:
    """The detectors whose models can be had here."""
    return tuple(name for name in NAMES if faceengine.is_available(name))


def default() -> Detector:
    """The detector of uploads, recognition and photos: `FACES_DETECTOR`."""
    if settings.FACES_DETECTOR == "auto":
        return next(name for name in _AUTO if name in available())
    return _named(settings.FACES_DETECTOR)


def detector_of_encodings() -> Detector:
    """The detector of `/generate_face_encoding`, its batch and `/verify`: cnn if set, else hog.

    HOG also where uploads are searched by YuNet, because clients hold golden encodings.
    """
    found = default()
    return found if found in _ENCODERS else "hog"


def chosen(requested: str) -> Detector:
    """The detector that a request names, or the default."""
    return _named(requested) if requested else default()


def _named(name: str) -> Detector:
    return next(each for each in NAMES if each == name)
