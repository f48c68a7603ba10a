"""Computing an analysis, once: claimed by one process, recorded in one transaction.

A claim is a row: the process that inserts it computes, every other one with the same bytes of this
owner waits for the result. A claim names its process and expires, so a dead worker blocks no other.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

from django.conf import settings
from django.db import transaction
from django.utils import timezone

import faceengine
from backend.analysis import detectors, encoders, marks, retention
from backend.analysis.metrics import ENGINE, FACES
from backend.analysis.models import Analysis, Face, Mark
from backend.common.jobs import process_identity, statements, wakeups
from backend.common.jobs.models import JobError, JobTimeout, Status, own_claim
from backend.common.metrics import registry
from backend.common.storage import base as storage

logger = logging.getLogger(__name__)

_WAIT_S: Final = (0.02, 0.05, 0.1, 0.2)
"""Pauses between looks at a result that another worker computes; the last one repeats."""


class AnalysisError(JobError):
    """An image could not be analysed. `permanent`: another try would fail as well.

    `is_specific`: the message says more than that the file is no image or damaged.
    """

    def __init__(self, message: str, *, permanent: bool, is_specific: bool = False) -> None:
        super().__init__(message, permanent=permanent)
        self.is_specific = is_specific

    @classmethod
    def refusing(cls, error: faceengine.ImageError) -> AnalysisError:
        """The engine's refusal of an image: permanent, because its bytes do not change."""
        return cls(str(error), permanent=True, is_specific=error.reason in _SPECIFIC)


_SPECIFIC: Final = (
    faceengine.Problem.TOO_LARGE,
    faceengine.Problem.CAMERA_RAW,
    faceengine.Problem.UNSUPPORTED_IMAGE,
)


OTHER_ENCODER: Final = "The service has another encoder by now. Please send the image again."

TOO_COSTLY: Final = "The image takes more time or memory than there is for one."


@contextmanager
def decoding() -> Iterator[None]:
    """What an image causes becomes an `AnalysisError`: permanent, because its bytes do not change.

    That is also the end of the job's time or memory, while its pixels are in hand.
    """
    try:
        yield
    except faceengine.ImageError as error:
        raise AnalysisError.refusing(error) from error
    except (JobTimeout, MemoryError) as error:
        raise AnalysisError(TOO_COSTLY, permanent=True) from error


@dataclass(frozen=True)
class Computed:
    """A finished analysis and its faces; its decoded photo, if it was computed just now."""

    analysis: Analysis
    faces: Sequence[Face]
    photo: faceengine.Photo | None = None


def analyse(
    image: BinaryIO, *, owner: str, sha256: str, detector: str, model: str = ""
) -> Computed:
    """The finished analysis of `image`: known, computed now, or awaited."""
    for attempt in range(_looks()):
        analysis = _claim(key(owner, sha256, detector, model))
        if analysis is None:
            time.sleep(_WAIT_S[min(attempt, len(_WAIT_S) - 1)])
        elif analysis.status == Status.DONE:
            return Computed(analysis, list(analysis.faces.all()))
        else:
            return _compute(analysis, image)
    raise AnalysisError("Another worker did not finish the same image.", permanent=False)


def compute_requested(analysis: Analysis) -> None:
    """Compute a claimed row from the bytes stored with the request."""
    with analysis.source.open("rb") as file:
        _find_and_record(analysis, storage.stream(file))


def key(owner: str, sha256: str, detector: str, model: str = "") -> dict[str, Any]:
    """The values that identify an analysis; of an empty `detector` or `model`, by the default."""
    return {
        "owner": owner,
        "sha256": sha256,
        "detector": detectors.chosen(detector),
        "detection_pixels": settings.FACES_MAX_DETECTION_PIXELS,
        "model": model or encoders.current().name,
    }


def _looks() -> int:
    """How often to look before giving up: until a claim made just before ours has run out."""
    return len(_WAIT_S) + int(settings.FACES_JOB_TIMEOUT_S / _WAIT_S[-1])


def _claim(key: dict[str, Any]) -> Analysis | None:
    """The analysis of these bytes: DONE, or ours to compute; None while another computes it."""
    if new := statements.insert(Analysis(**key, **own_claim())):
        return new
    analysis = Analysis.objects.filter(**key).first()
    # None: it was given up between the two.
    if analysis is None or analysis.status == Status.DONE:
        return analysis
    held = analysis.status == Status.PROCESSING and not analysis.is_lost(timezone.now())
    return None if held else _take_over(analysis)


def _take_over(analysis: Analysis) -> Analysis | None:
    """Claim a row that waits, failed or lost its process; None if another process was faster."""
    as_seen = Analysis.objects.filter(
        pk=analysis.pk,
        status=analysis.status,
        claimed_by=analysis.claimed_by,
        claimed_until=analysis.claimed_until,
    )
    return analysis if as_seen.update(**own_claim()) and _reload(analysis) else None


def _reload(analysis: Analysis) -> bool:
    analysis.refresh_from_db()
    return analysis.claimed_by == process_identity.identity()


def _compute(analysis: Analysis, image: BinaryIO) -> Computed:
    """Compute a claimed row from the bytes in hand."""
    try:
        return _find_and_record(analysis, image)
    except AnalysisError as error:
        _give_up(analysis, error)
        raise
    except BaseException:
        # At once, also when the job is killed: waiting requests need not wait for the lease.
        _give_up(analysis, None)
        raise


def _give_up(analysis: Analysis, error: AnalysisError | None) -> None:
    """Delete the row, unless a request waits for it: then fail it, or try again."""
    ours = Analysis.objects.filter(
        pk=analysis.pk, status=Status.PROCESSING, claimed_by=analysis.claimed_by
    )
    if retention.delete_as_seen(ours.filter(source="")):
        return
    if error is not None and error.permanent:
        analysis.fail(str(error))
        ended(analysis)
    else:
        analysis.requeue(due_at=timezone.now())


def _find_and_record(analysis: Analysis, image: BinaryIO) -> Computed:
    started = time.monotonic()
    photo, faces = _find(image, analysis)
    rows = [_row(analysis, index, face) for index, face in enumerate(faces)]
    known = marks.of_bytes(analysis)
    marks.hide_known(known, rows)
    drawn = _looked_at(photo, marks.missing(known, rows), encoder_of(analysis))
    rows += _drawn(analysis, len(rows), drawn)
    _conclude(analysis, faces, rows, engine_s=time.monotonic() - started)
    return Computed(analysis, rows, photo)


def conclude(analysis: Analysis, faces: faceengine.Faces, *, engine_s: float) -> None:
    """Record what the engine found in `engine_s` seconds, and wake the requests that wait.

    Not for bytes that were corrected by hand.
    """
    rows = [_row(analysis, index, face) for index, face in enumerate(faces)]
    _conclude(analysis, faces, rows, engine_s=engine_s)


def _conclude(
    analysis: Analysis, faces: faceengine.Faces, rows: Sequence[Face], *, engine_s: float
) -> None:
    analysis.engine_s = engine_s
    registry.observe(ENGINE, engine_s, stage="detect_encode")
    registry.count(FACES, len(faces))
    _record(analysis, faces, rows)
    ended(analysis)


def add_drawn(image: BinaryIO, owner: str, sha256: str) -> None:
    """Look at the boxes that were drawn on these bytes, and add them to each finished analysis.

    Raises `AnalysisError`, for a box outside the image after that mark was deleted.
    """
    photo = None
    for analysis in marks.finished(owner, sha256):
        if encoders.known(analysis.model) is None:  # of an earlier encoder: it stays as it is
            continue
        missing = marks.missing(marks.of_bytes(analysis), analysis.faces.all())
        if missing:
            photo = photo or _open(image)
            _append(analysis, _looked_at(photo, missing, encoder_of(analysis)))


OUTSIDE: Final = "The box lies outside the image."


def _looked_at(
    photo: faceengine.Photo, drawn: Sequence[Mark], encoder: faceengine.Encoder
) -> list[faceengine.Face]:
    boxes = []
    for mark in drawn:
        width, height = photo.size
        box = faceengine.Box(
            max(0, mark.top), min(width, mark.right), min(height, mark.bottom), max(0, mark.left)
        )
        if box.width < marks.MIN_SIDE_PX or box.height < marks.MIN_SIDE_PX:
            mark.delete()
            raise AnalysisError(OUTSIDE, permanent=True)
        boxes.append(box)
    with decoding():
        return faceengine.encode_boxes(photo, boxes, encoder=encoder) if boxes else []


def _append(analysis: Analysis, drawn: Sequence[faceengine.Face]) -> None:
    """Add drawn faces behind those that `analysis` has, unless they were taken back meanwhile."""
    with transaction.atomic():
        # Two processes must not give one place to two faces.
        Analysis.objects.select_for_update().filter(pk=analysis.pk).first()
        rows = list(analysis.faces.all())
        start = 1 + max((row.index for row in rows), default=-1)
        missing = marks.missing(marks.of_bytes(analysis), rows)
        wanted = [face for face in drawn if any(marks.is_at(mark, face.box) for mark in missing)]
        Face.objects.bulk_create(_drawn(analysis, start, wanted))


def _drawn(analysis: Analysis, start: int, faces: Sequence[faceengine.Face]) -> list[Face]:
    rows = [_row(analysis, index, face) for index, face in enumerate(faces, start)]
    for row in rows:
        row.by_hand = marks.DRAWN
    return rows


def encoder_of(analysis: Analysis) -> faceengine.Encoder:
    """Raises `AnalysisError` for one that was requested of a process with another encoder.

    Temporary: while a service is restarted with another one, either kind of process may take it.
    """
    found = encoders.known(analysis.model)
    if found is None:
        raise AnalysisError(OTHER_ENCODER, permanent=False)
    return found


def _open(image: BinaryIO) -> faceengine.Photo:
    with decoding():
        return faceengine.open_photo(
            image,
            max_detection_pixels=settings.FACES_MAX_DETECTION_PIXELS,
            max_pixels=settings.FACES_MAX_IMAGE_PIXELS,
        )


def _find(image: BinaryIO, analysis: Analysis) -> tuple[faceengine.Photo, faceengine.Faces]:
    """No transaction is open here: finding faces takes long, and writers would wait for it."""
    bound = settings.FACES_MAX_DETECTION_PIXELS
    try:
        with decoding():
            photo = _open(image)
            detector, encoder = detectors.chosen(analysis.detector), encoder_of(analysis)
            return photo, faceengine.find_faces(
                photo, detector, encoder=encoder, max_detection_pixels=bound
            )
    except faceengine.FaceEngineError as error:
        raise AnalysisError(str(error), permanent=False) from error


def _record(analysis: Analysis, faces: faceengine.Faces, rows: Sequence[Face]) -> None:
    """Write all faces and the state in one transaction, if the claim is still ours."""
    with transaction.atomic():
        results = {"faces_count": len(faces), "smallest_face_px": faces.smallest_face_px}
        if not analysis.succeed(**results, engine_s=analysis.engine_s):
            raise AnalysisError("Another worker took this image over.", permanent=False)
        statements.create_many(rows)
    logger.info("computed analysis=%d faces=%d", analysis.pk, len(faces))


def _row(analysis: Analysis, index: int, face: faceengine.Face) -> Face:
    return Face(
        analysis_id=analysis.pk,
        index=index,
        **face.box._asdict(),
        encoding=face.encoding,  # type: ignore[misc]  # None of drawn ones, as the table allows
        score=face.quality.score,
        size_px=face.quality.size_px,
        sharpness=face.quality.sharpness,
        yaw=face.quality.pose.yaw,
        roll=face.quality.pose.roll,
        too_poor=face.quality.reason or "",
        rotation=face.rotation,
    )


def ended(analysis: Analysis) -> None:
    """Wake the waiting requests and delete the bytes. `analysis` is the row as it ended.

    A request stores its bytes before it waits, so where there are none no request waits.
    """
    if name := analysis.source.name:
        wakeups.notify("analysis", analysis.pk)
        # In this order: a file that cannot be deleted now is an orphan, which retention deletes; a
        # row that named it would keep it.
        Analysis.objects.filter(pk=analysis.pk, source=name).update(source="")
        analysis.source.storage.delete(name)
