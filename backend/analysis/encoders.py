"""The encoders that this process has, by the name that is stored beside every encoding.

`FACES_ENCODER` makes the encodings of uploads, of `/generate_face_encoding` and of galleries.
Photos and references have dlib's, whatever it is.
"""

from typing import Any, Final

from django.conf import settings
from django.core.checks import Error, Warning, register

import faceengine
from backend.common import checks
from faceengine import Encoder, Thresholds

DLIB: Final = faceengine.DLIB.name
"""The model of photos and references."""


def current() -> Encoder:
    """The encoder of the settings. Raises `ModelError` where there is none."""
    return faceengine.open_encoder(settings.FACES_ENCODER)


def known(model: str) -> Encoder | None:
    """The encoder called `model`: dlib's or the current one."""
    if model == DLIB:
        return faceengine.DLIB
    found = current()
    return found if found.name == model else None


def refusal(model: str, numbers: int) -> str:
    """Why an encoding of so many numbers, made by `model`, cannot be compared here; else empty.

    One without a model is dlib's: clients that know of no others have those.
    """
    encoder = known(model or DLIB)
    if encoder is None:
        names = ", ".join(dict.fromkeys((DLIB, current().name)))
        return f"This service has no encoder “{model}”. It has: {names}."
    if encoder.dimensions == numbers:
        return ""
    hint = "" if model else " Name the model that made it."
    return f"An encoding of {encoder.name} has {encoder.dimensions} numbers, not {numbers}.{hint}"


def thresholds(model: str) -> Thresholds | None:
    """Of the encodings of `model`; None where none are known, so that nothing is guessed.

    dlib's are in the settings, others in the encoder's `model.toml`.
    """
    if model != DLIB:
        encoder = known(model)
        return encoder.thresholds if encoder else None
    return Thresholds(
        same_person=settings.FACES_VERIFY_THRESHOLD,
        match_distance=settings.FACES_MATCH_DISTANCE,
        slope=settings.FACES_CONFIDENCE_SLOPE,
        midpoint=settings.FACES_CONFIDENCE_MIDPOINT,
        ceiling=faceengine.DLIB.thresholds.ceiling if faceengine.DLIB.thresholds else 1.0,
    )


@register(checks.SETTINGS)
def encoder_is_there(app_configs: Any, **kwargs: Any) -> list[Error | Warning]:
    """faces.E024: without its encoder every job would fail. W024: without thresholds."""
    try:
        found = current()
    except faceengine.ModelError as error:
        hint = "FACES_ENCODER is dlib, an ONNX file, or a folder: docs/models.md."
        return [Error(str(error), hint=hint, id="faces.E024")]
    if found.thresholds is not None:
        return []
    text = "The encoder has no thresholds: no face is named, and /verify gives no verdict."
    hint = "Write [thresholds] into its model.toml: `manage.py calibrate_confidence` suggests them."
    return [Warning(text, hint=hint, id="faces.W024")]
