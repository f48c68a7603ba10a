"""Several images at once: an answer for each, in order, and none spoils another."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Final

from django.conf import settings
from django.core.files.base import File

from backend.analysis.services import AnalysisError
from backend.common.http.errors import TooLarge
from backend.common.http.upload_fields import sha256_of
from backend.face_encodings import serializers, services
from backend.face_encodings.models import EncodedImage
from backend.face_encodings.serializers import Body, Unusable

MAX_IMAGES: Final = 32
"""Of one request: a form with more would hold a web process for too long."""

_MANY: Final = "At most {most} images at a time."


def answers(files: Sequence[File[Any]], *, owner_id: int, detector: str = "") -> list[Body]:
    """What `POST /generate_face_encoding` would answer to each, with its `status` beside it."""
    if len(files) > MAX_IMAGES:
        raise Unusable(_MANY.format(most=MAX_IMAGES))
    refused: dict[int, Body] = {}
    images: dict[int, EncodedImage] = {}
    new: dict[int, tuple[File[Any], str]] = {}
    for index, file in enumerate(files):
        sha256 = sha256_of(file)
        try:
            if known := services.up_to_date(owner_id, sha256, detector):
                images[index] = known
            else:
                serializers.check(file)
                new[index] = file, sha256
        except (Unusable, TooLarge) as error:
            refused[index] = _refusal(error)
    if new:
        accepted = services.accept(list(new.values()), owner_id=owner_id, detector=detector)
        images.update(zip(new, accepted, strict=True))
    return _completed(images, refused, len(files))


def _completed(images: dict[int, EncodedImage], refused: dict[int, Body], count: int) -> list[Body]:
    deadline = time.monotonic() + settings.FACES_SYNC_RESPONSE_TIMEOUT_S
    return [
        refused[index]
        if index in refused
        else _answer(images[index], timeout_s=max(0.0, deadline - time.monotonic()))
        for index in range(count)
    ]


def _answer(image: EncodedImage, *, timeout_s: float) -> Body:
    try:
        if not services.complete(image, timeout_s=timeout_s):
            return {"status": 202, **serializers.as_pending(image)}
        faces = services.faces(image)
    except AnalysisError as error:
        return {"status": 422, "message": str(error)}
    if not faces:
        return {"status": 422, "message": serializers.NO_FACES, **serializers.searched(image)}
    return {"status": 200, **serializers.as_answer(image, faces)}


def _refusal(error: Unusable | TooLarge) -> Body:
    if isinstance(error, Unusable):
        return {"status": error.status_code, **error.body}
    return {"status": error.status_code, "message": str(error.detail)}
