"""The encoding of an image that is only compared: nothing of it is kept."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.core.files.base import File

from backend.analysis import services as analysis
from backend.analysis.services import AnalysisError
from backend.common.http import admission
from backend.common.http.errors import TooLarge, Unavailable
from backend.common.http.upload_fields import sha256_of

TOO_SLOW: Final = "The image is still being processed. Please send it again."


@dataclass(frozen=True)
class Probe:
    """128 numbers, and the model that made them."""

    encoding: list[float]
    model: str


def from_image(sent: bytes | File[Any], *, owner_id: int) -> Probe | None:
    """Of the largest face; None if there is none in the image.

    Raises `AnalysisError` for what is no image, `TooLarge`, or `Unavailable` if it takes too long.
    """
    file, sha256 = _named(sent)
    if (file.size or 0) > settings.FACES_MAX_UPLOAD_BYTES:
        raise TooLarge(f"At most {settings.FACES_MAX_UPLOAD_BYTES} bytes are accepted.")
    file.seek(0)
    analysis.check_image(file)  # type: ignore[arg-type]  # it reads and seeks, as files do
    (id,) = analysis.request_many([(file, sha256)], owner=analysis.client_owner(owner_id))
    try:
        return _found(id)
    finally:
        # Also what took too long: nobody asks for it again by this id.
        analysis.withdraw(id)


def from_encoding(encoding: list[float]) -> Probe:
    """Of numbers that came out of this service: its model made them."""
    return Probe(encoding, analysis.current_model())


def _named(sent: bytes | File[Any]) -> tuple[File[Any], str]:
    if isinstance(sent, bytes):
        return File(io.BytesIO(sent)), hashlib.sha256(sent).hexdigest()
    return sent, sha256_of(sent)


def _found(id: int) -> Probe | None:
    with admission.blocking_wait_slot() as may_wait:
        timeout_s = settings.FACES_ANSWER_TIMEOUT_S if may_wait else 0.0
        result = analysis.wait(id, timeout_s=timeout_s)
        if result is None:
            raise Unavailable(TOO_SLOW)
    faces = analysis.faces(id) if result.boxes else []
    if result.boxes and not faces:
        raise AnalysisError("The image was deleted in the meantime.", permanent=True)
    if not faces:
        return None
    best = max(faces, key=lambda face: (face.quality["size_px"], face.quality["score"]))
    return Probe(best.encoding, result.model)
