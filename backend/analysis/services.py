"""The faces of an image, computed once for the same bytes. The door to `faceengine` for all apps.

A claim is a row: whoever inserts it computes, everybody else with the same bytes waits for the
result. A claim names its process and ends by itself, so that a worker's death blocks nobody.
"""

import io
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import BinaryIO, Final, Literal

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

import faceengine
from backend.analysis.models import Analysis, Face, State
from backend.common import processes
from backend.common.work import WorkError
from wire.events import BoxShape

logger = logging.getLogger(__name__)

_WAIT_S: Final = (0.02, 0.05, 0.1, 0.2)
"""Pauses between looks at a result that another worker computes; the last one repeats."""

_KEPT_UNREFERENCED: Final = timedelta(hours=1)
"""An analysis nobody refers to may have been recorded a moment before its submission names it."""

_JPEG_QUALITY: Final = 90


class AnalysisError(WorkError):
    """An image could not be analysed. `permanent` tells that trying again would not help.

    `too_large` tells that it may well be an image, only one of more pixels than are accepted.
    """

    def __init__(self, message: str, *, permanent: bool, too_large: bool = False) -> None:
        super().__init__(message, permanent=permanent)
        self.too_large = too_large

    @classmethod
    def refusing(cls, error: faceengine.ImageError) -> "AnalysisError":
        """The engine's refusal of an image: final, since the same bytes stay what they are."""
        too_large = error.reason is faceengine.Problem.TOO_LARGE
        return cls(str(error), permanent=True, too_large=too_large)


@dataclass(frozen=True)
class Result:
    """A finished analysis: its row's id, and the boxes in `face_recognition`'s order."""

    analysis_id: int
    boxes: Sequence[BoxShape]
    engine_s: float = 0.0
    """How long the engine took, in seconds, when it was computed."""


def load_engine() -> None:
    """Load all that a worker needs, once, before it forks: what is loaded here is shared."""
    if settings.FACES_MODEL_CACHE:
        faceengine.configure(model_cache=settings.FACES_MODEL_CACHE)
    faceengine.load(_detector())


def check_image(image: BinaryIO) -> None:
    """Decode `image` as cheaply as its format allows; `AnalysisError` if it cannot be used."""
    try:
        faceengine.check_image(image, max_pixels=settings.FACES_MAX_IMAGE_PIXELS)
    except faceengine.ImageError as error:
        raise AnalysisError.refusing(error) from error


def analyse(image: BinaryIO, *, sha256: str, discreet: bool = False) -> Result:
    """The faces of `image`, whose bytes hash to `sha256`: known, computed now, or awaited.

    With `discreet` a known result takes as long as it once took to compute: somebody who never
    sent these bytes must not be able to tell by the clock that somebody else did.
    """
    started = time.monotonic()
    result = _analyse(image, sha256)
    if discreet:
        time.sleep(max(0.0, result.engine_s - (time.monotonic() - started)))
    return result


def _analyse(image: BinaryIO, sha256: str) -> Result:
    for attempt in range(_looks()):
        analysis = _claim(sha256)
        if analysis is None:
            time.sleep(_WAIT_S[min(attempt, len(_WAIT_S) - 1)])
        elif analysis.state == State.DONE:
            return _result(analysis)
        else:
            return _compute(analysis, image)
    raise AnalysisError("Another worker did not finish the same image.", permanent=False)


def draw(image: BinaryIO, boxes: Sequence[BoxShape]) -> bytes:
    """A JPEG of the upright `image` with a box round each face; nothing of its metadata stays."""
    try:
        picture = faceengine.load_image(image, max_pixels=settings.FACES_MAX_IMAGE_PIXELS)
    except faceengine.ImageError as error:
        raise AnalysisError.refusing(error) from error
    drawn = faceengine.draw_boxes(picture, [faceengine.Box(**box) for box in boxes])
    jpeg = io.BytesIO()
    drawn.save(jpeg, "JPEG", quality=_JPEG_QUALITY)
    return jpeg.getvalue()


def boxes(analysis_id: int) -> list[BoxShape]:
    """The boxes of a finished analysis, in order."""
    found = Face.objects.filter(analysis_id=analysis_id).values("top", "right", "bottom", "left")
    return [BoxShape(**box) for box in found]


def forget(analysis_id: int | None) -> None:
    """Delete an analysis if nobody refers to it any more.

    A worker that is just about to refer to it then fails on its foreign key and tries again.
    """
    if analysis_id is not None:
        unreferenced(min_age=timedelta(0)).filter(pk=analysis_id, state=State.DONE).delete()


def unreferenced(*, min_age: timedelta = _KEPT_UNREFERENCED) -> QuerySet[Analysis]:
    """The analyses older than `min_age` that no other app's row refers to."""
    analyses = Analysis.objects.filter(created_at__lte=timezone.now() - min_age)
    for relation in Analysis._meta.related_objects:
        if relation.related_model is not Face:
            rows = relation.related_model._default_manager
            analyses = analyses.exclude(
                Exists(rows.filter(**{relation.field.name: OuterRef("pk")}))
            )
    return analyses


def _detector() -> Literal["hog", "cnn"]:
    return "cnn" if settings.FACES_DETECTOR == "cnn" else "hog"


def _looks() -> int:
    """How often to look before giving up: until a claim made just before ours has run out."""
    return len(_WAIT_S) + int(settings.FACES_JOB_TIMEOUT_S / _WAIT_S[-1])


def _claim(sha256: str) -> Analysis | None:
    """The analysis of these bytes: DONE, or ours to compute; None while another computes it."""
    key = {
        "sha256": sha256,
        "detector": settings.FACES_DETECTOR,
        "detection_pixels": settings.FACES_MAX_DETECTION_PIXELS,
        "model": faceengine.MODEL,
    }
    holder, lease = processes.identity(), timedelta(seconds=settings.FACES_JOB_TIMEOUT_S)
    try:
        claim = {"claimed_by": holder, "claimed_until": timezone.now() + lease}
        analysis, created = Analysis.objects.get_or_create(**key, defaults=claim)
    except IntegrityError:  # made and given up by others between the two queries
        return None
    if created or analysis.state == State.DONE:
        return analysis
    held = analysis.is_claimed(timezone.now()) and not processes.is_gone(analysis.claimed_by)
    if held or not analysis.take_over(holder=holder, lease=lease):
        return None
    analysis.claimed_by = holder
    return analysis


def _compute(analysis: Analysis, image: BinaryIO) -> Result:
    started = time.monotonic()
    try:
        faces = _find(image)
    except BaseException:
        # Given up at once, also when the job is ended: whoever waits need not wait for the lease.
        Analysis.objects.filter(
            pk=analysis.pk, state=State.COMPUTING, claimed_by=analysis.claimed_by
        ).delete()
        raise
    analysis.engine_s = time.monotonic() - started
    _record(analysis, faces)
    return _result(analysis)


def _find(image: BinaryIO) -> list[faceengine.Face]:
    """No transaction is open here: finding faces takes long, and writers would wait for it."""
    try:
        return faceengine.find_faces(
            image,
            _detector(),
            max_detection_pixels=settings.FACES_MAX_DETECTION_PIXELS,
        )
    except faceengine.ImageError as error:
        raise AnalysisError.refusing(error) from error
    except (faceengine.FaceEngineError, MemoryError) as error:
        raise AnalysisError(str(error) or "Out of memory.", permanent=False) from error


def _record(analysis: Analysis, faces: Sequence[faceengine.Face]) -> None:
    """Write all faces and the state in one transaction, if the claim is still ours."""
    ours = Analysis.objects.filter(
        pk=analysis.pk, state=State.COMPUTING, claimed_by=analysis.claimed_by
    )
    with transaction.atomic():
        done = {"state": State.DONE, "faces_count": len(faces), "engine_s": analysis.engine_s}
        if not ours.update(**done, claimed_by="", claimed_until=None):
            raise AnalysisError("Another worker took this image over.", permanent=False)
        Face.objects.bulk_create(_row(analysis, index, face) for index, face in enumerate(faces))
    logger.info("computed sha256=%s faces=%d", analysis.sha256, len(faces))


def _row(analysis: Analysis, index: int, face: faceengine.Face) -> Face:
    assert face.encoding is not None
    return Face(
        analysis=analysis,
        index=index,
        **face.box._asdict(),
        encoding=face.encoding.astype("<f4").tobytes(),
        score=face.quality.score,
        size_px=face.quality.size_px,
        sharpness=face.quality.sharpness,
        yaw=face.quality.pose.yaw,
        roll=face.quality.pose.roll,
        too_poor=face.quality.reason or "",
    )


def _result(analysis: Analysis) -> Result:
    return Result(analysis_id=analysis.pk, boxes=boxes(analysis.pk), engine_s=analysis.engine_s)
