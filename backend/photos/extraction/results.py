"""Records extraction results on a photo or reference, from a worker or from AWS Lambda."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db import models, transaction
from django.utils import timezone
from numpy.typing import ArrayLike

from backend.analysis.services import FoundFace, QualityShape
from backend.common.jobs.models import Status
from backend.photos.matching import jobs
from backend.photos.models import Extraction, Photo, PhotoFace, Reference
from wire.events import BoxShape

logger = logging.getLogger(__name__)

NO_FACE: Final = "There is no face in this picture."
SEVERAL_FACES: Final = "There are several faces in this picture."

_AT_A_TIME: Final = 200


@dataclass(frozen=True)
class FaceResult:
    """One face; a Lambda function may send its encoding only."""

    encoding: ArrayLike
    box: BoxShape | None = None
    quality: QualityShape | None = None
    rotation: int = 0

    @classmethod
    def of(cls, face: FoundFace) -> FaceResult:
        return cls(
            encoding=face.encoding, box=face.box, quality=face.quality, rotation=face.rotation
        )


def record(source: Photo | Reference, faces: Sequence[FaceResult], *, extractor: str) -> bool:
    """PROCESSING → DONE or REJECTED, with the faces and the job that matches them, atomically.

    False without a change if it is no longer PROCESSING, because it was recorded or deleted.
    Raises `ValueError` for an encoding that is not 128 finite numbers.
    """
    with transaction.atomic():
        if isinstance(source, Photo):
            recorded = _record_photo(source, faces, extractor)
        else:
            recorded = _record_reference(source, faces, extractor)
    if recorded:
        source.refresh_from_db()
        logger.info("recorded %s=%s faces=%d", source._meta.model_name, source.pk, len(faces))
    return recorded


def mark_failed(source: Photo | Reference, *, reason: str = "") -> bool:
    """PROCESSING → FAILED; a reference becomes REJECTED, as its member may upload another."""
    failed = Extraction.FAILED if isinstance(source, Photo) else Extraction.REJECTED
    return _end(source, extraction=failed, rejection=reason[:200])


def mark_failed_jobs() -> None:
    """The sweep's step, for failed jobs whose worker died before `mark_failed`."""
    for model in (Photo, Reference):
        failed = model._default_manager.filter(
            status=Status.FAILED, extraction=Extraction.PROCESSING
        )
        for source in failed[:_AT_A_TIME]:
            mark_failed(source)


def _record_photo(photo: Photo, faces: Sequence[FaceResult], extractor: str) -> bool:
    done = Extraction.DONE
    if not _end(photo, extraction=done, faces_count=len(faces), extractor=extractor):
        return False
    rows = [_row(photo, index, face) for index, face in enumerate(faces)]
    PhotoFace.objects.bulk_create(rows)
    jobs.photo_recorded(photo)
    return True


def _record_reference(reference: Reference, faces: Sequence[FaceResult], extractor: str) -> bool:
    own = _own(reference, faces)
    if own is None:
        several = len(faces) > 1
        # Boxes alone: the encodings of others are not kept.
        boxes = [{**each.box} for each in faces if several and each.box]
        return _end(
            reference,
            extraction=Extraction.REJECTED,
            rejection=SEVERAL_FACES if several else NO_FACE,
            extractor=extractor,
            boxes=boxes if len(boxes) == len(faces) else [],
            chosen=None,
        )
    done = Extraction.DONE
    if not _end(reference, extraction=done, encoding=own.encoding, extractor=extractor, boxes=[]):
        return False
    jobs.reference_recorded(reference)
    return True


def _own(reference: Reference, faces: Sequence[FaceResult]) -> FaceResult | None:
    """The only face, or the one that the member chose among as many; None if that is unclear."""
    if reference.chosen is None:
        return faces[0] if len(faces) == 1 else None
    is_same = len(faces) == len(reference.boxes)
    return faces[reference.chosen] if is_same and reference.chosen < len(faces) else None


def _end(source: Photo | Reference, **results: Any) -> bool:
    rows: models.QuerySet[Any] = type(source)._default_manager.all()
    processing = rows.filter(pk=source.pk, extraction=Extraction.PROCESSING)
    # The conditional update succeeds once; the token becomes invalid with it.
    return bool(processing.update(extracted_at=timezone.now(), token_sha256="", **results))


def _row(photo: Photo, index: int, face: FaceResult) -> PhotoFace:
    box: dict[str, Any] = {**face.box} if face.box else {}
    quality = {**face.quality} if face.quality else None
    return PhotoFace(
        photo=photo,
        index=index,
        encoding=face.encoding,
        quality=quality,
        rotation=face.rotation,
        **box,
    )
