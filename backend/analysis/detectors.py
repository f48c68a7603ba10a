"""Face detectors by name: those that this process can run, and the defaults of the settings.

A request may name one. `""` everywhere means that it names none: then the settings decide.
"""

import os
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.core.checks import Error, register

import faceengine
from backend.common import checks
from faceengine import Detector

NAMES: Final = faceengine.DETECTORS

_AUTO: Final[tuple[Detector, ...]] = ("yunet", "hog")
"""The preferences of `FACES_DETECTOR=auto`."""

_ENCODERS: Final[tuple[Detector, ...]] = ("hog", "cnn")
"""dlib's: golden encodings are made from their boxes."""


def configure_engine() -> None:
    """Set how this process runs the models, and where it looks for them. Loads none."""
    faceengine.configure(
        model_cache=settings.FACES_MODEL_CACHE or None,
        providers=settings.FACES_PROVIDERS,
        threads=settings.FACES_ENGINE_THREADS,
        yunet_model=settings.FACES_YUNET_MODEL or None,
    )


def available_detectors() -> tuple[Detector, ...]:
    """The detectors whose weights are here."""
    return tuple(name for name in NAMES if faceengine.is_available(name))


def default_detector() -> Detector:
    """The detector of uploads, recognition and photos: `FACES_DETECTOR`."""
    if settings.FACES_DETECTOR == "auto":
        return next(name for name in _AUTO if faceengine.is_available(name))
    return _named(settings.FACES_DETECTOR)


def detector_of_encodings() -> Detector:
    """The detector of `/generate_face_encoding`, its batch and `/verify`: cnn if set, else hog.

    HOG also where uploads are searched by YuNet, because clients hold golden encodings.
    """
    found = default_detector()
    return found if found in _ENCODERS else "hog"


def chosen(requested: str) -> Detector:
    """The detector that a request names, or the default."""
    return _named(requested) if requested else default_detector()


@register(checks.SETTINGS)
def weights_are_there(app_configs: Any, **kwargs: Any) -> list[Error]:
    """faces.E025 and E026: without weights every job would fail."""
    if faceengine.is_available("yunet"):
        return []
    if settings.FACES_YUNET_MODEL:
        return [_unusable_file(Path(settings.FACES_YUNET_MODEL))]
    if settings.FACES_DETECTOR != "yunet":
        return []
    text = "FACES_DETECTOR=yunet, but the weights of yunet are missing."
    hint = (
        f"{_how_to_fetch()}, or name a file of OpenCV Zoo's YuNet in FACES_YUNET_MODEL, or set "
        "FACES_DETECTOR=auto."
    )
    return [Error(text, hint=hint, id="faces.E025")]


def _unusable_file(file: Path) -> Error:
    if file.is_file():
        text = "FACES_YUNET_MODEL names a file that was not converted, and onnx is not installed."
        hint = "In Docker, build the image again with the file beside the Dockerfile as yunet.onnx."
    else:
        text = "FACES_YUNET_MODEL names no file."
        hint = "Name a file of YuNet of March 2023, or none to use the fetched one."
    return Error(text, hint=hint, id="faces.E026")


def _how_to_fetch() -> str:
    folder = settings.FACES_MODEL_CACHE
    if folder and not os.access(folder, os.W_OK):  # an image
        return "Build the image again, where the package index answers"
    option = folder and f" --model-cache {folder}"
    return f"Fetch them with `python -m faceengine fetch{option}`"


def _named(name: str) -> Detector:
    return next(each for each in NAMES if each == name)
