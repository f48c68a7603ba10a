"""The function's result for a source: accepted once, with the token of the last submission."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from enum import Enum, auto

from django.conf import settings
from django.utils.crypto import constant_time_compare

from backend.analysis import services as analysis
from backend.common.metrics import registry
from backend.photos.extraction import results
from backend.photos.extraction.aws_lambda import submission
from backend.photos.extraction.aws_lambda.submission import MODELS, SUBMITTED, Source, token_hash
from backend.photos.extraction.results import FaceResult
from backend.photos.models import Extraction
from wire.facedetection import Callback, ExtractedFace, ExtractionFailure, ShapeError, SourceType

logger = logging.getLogger(__name__)


class Refusal(Enum):
    """Why a result is refused."""

    WRONG_TOKEN = auto()
    NOT_PROCESSING = auto()


def find(type: SourceType, pk: int) -> Source | None:
    """The photo or reference with this key."""
    found: Source | None = MODELS[type]._default_manager.filter(pk=pk).first()
    return found


def refusal(source: Source, token: str) -> Refusal | None:
    """Why a result with this token is refused; None if it is accepted."""
    if source.extraction != Extraction.PROCESSING:
        return Refusal.NOT_PROCESSING
    # Without a pending submission the hash is empty and equals no other.
    if not constant_time_compare(source.token_sha256, token_hash(token)):
        return Refusal.WRONG_TOKEN
    return None


def record(source: Source, body: Callback) -> bool:
    """Record the function's result or error; False if another result was recorded first."""
    if error := body.get("error"):
        return _report(source, error)
    faces = _recorded(body["encodings"], body.get("faces"))
    model = body.get("model", "")
    taken = results.record(source, faces, extractor=f"lambda/{model}".rstrip("/"))
    if taken:
        registry.count(SUBMITTED, outcome="recorded")
    return taken


def check_model(body: Callback) -> None:
    """Raises `ShapeError` for another encoding model; a function without `model` is an old one."""
    ours = analysis.DLIB
    if body.get("model", ours) != ours:
        raise ShapeError("model", "Encodings of this model are not compared here.")


def _recorded(
    encodings: Sequence[Sequence[float]], faces: Sequence[ExtractedFace] | None
) -> list[FaceResult]:
    if faces is None:
        return [FaceResult(encoding=encoding) for encoding in encodings]
    return [
        FaceResult(
            encoding=encoding,
            box=face["box"],
            rotation=face.get("rotation", 0),
            quality={
                "score": face["score"],
                "size_px": face["size_px"],
                "sharpness": face["sharpness"],
                "yaw": face["yaw"],
                "roll": face["roll"],
                "too_poor": face["too_poor"],
            },
        )
        for encoding, face in zip(encodings, faces, strict=True)
    ]


def _report(source: Source, error: ExtractionFailure) -> bool:
    """Record an error: permanent, or a release for the next submission before `WAIT` ends."""
    values = (source._meta.model_name, source.pk, source.submissions, error["reason"])
    logger.warning("Lambda has no result for %s=%s submissions=%d: %s", *values)
    registry.count(SUBMITTED, outcome="reported")
    if error["permanent"] or source.submissions > settings.FACES_MAX_RETRIES:
        return results.mark_failed(source, reason=error["reason"])
    return submission.release(source)
