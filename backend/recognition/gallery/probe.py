"""The face of an image: of one that is only compared, and of those that are stored."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.core.files.base import File

from backend.analysis import services as analysis
from backend.analysis.services import AnalysisError, FoundFace
from backend.common.http import admission
from backend.common.http.errors import TooLarge, Unavailable
from backend.common.http.upload_fields import sha256_of

TOO_SLOW: Final = "The image is still being processed. Please send it again."
DELETED: Final = "The image was deleted in the meantime."


@dataclass(frozen=True)
class Probe:
    """An encoding to compare, and the model that made it."""

    encoding: list[float]
    model: str

    @property
    def is_of_the_service(self) -> bool:
        """Whether new faces of galleries have the same model."""
        return self.model == analysis.current_model()


def from_image(sent: bytes | File[Any], *, detector: str = "") -> Probe | None:
    """The probe of the largest face, None if there is none. Nothing of the image is stored.

    Raises `AnalysisError` for a file that is no image, `TooLarge`, or `Unavailable` after too long.
    """
    file, sha256 = as_file(sent)
    if (file.size or 0) > settings.FACES_MAX_UPLOAD_BYTES:
        raise TooLarge(f"At most {settings.FACES_MAX_UPLOAD_BYTES} bytes are accepted.")
    file.seek(0)
    analysis.check_image(file)  # type: ignore[arg-type]  # it reads and seeks, as files do
    owner = analysis.one_time_owner()
    id = analysis.request(file, owner=owner, sha256=sha256, detector=detector)
    try:
        return _awaited(id)
    finally:
        # Also after too long, because no later request refers to this id.
        analysis.withdraw(id)


def from_encoding(encoding: list[float], model: str) -> Probe:
    """The probe of an encoding that this service returned; one without a model is dlib's."""
    return Probe(encoding, model or analysis.DLIB)


def as_file(sent: bytes | File[Any]) -> tuple[File[Any], str]:
    """The image as a file, and its SHA-256."""
    if isinstance(sent, bytes):
        return File(io.BytesIO(sent)), hashlib.sha256(sent).hexdigest()
    return sent, sha256_of(sent)


def largest(faces: Sequence[FoundFace]) -> FoundFace | None:
    """The face that stands for the image."""
    return max(
        (face for face in faces if face.is_usable),
        key=lambda face: (face.quality["size_px"], face.quality["score"]),
        default=None,
    )


def _awaited(id: int) -> Probe | None:
    with admission.blocking_wait_slot() as may_wait:
        timeout_s = settings.FACES_SYNC_RESPONSE_TIMEOUT_S if may_wait else 0.0
        result = analysis.wait(id, timeout_s=timeout_s)
    if result is None:
        raise Unavailable(TOO_SLOW)
    face = largest(analysis.faces(id))
    if face is None and result.boxes:
        raise AnalysisError(DELETED, permanent=True)
    return Probe(face.encoding, result.model) if face else None
