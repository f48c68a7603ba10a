"""The faces of an image, computed once for the same bytes of an owner. The interface of the app."""

from __future__ import annotations

import io
import logging
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any, BinaryIO, Final

from django.conf import settings
from django.core.files.base import File
from django.db import transaction
from django.utils import timezone

import faceengine
from backend.analysis import batches, detectors, encoders, retention
from backend.analysis import compute as computing
from backend.analysis.compute import AnalysisError as AnalysisError  # part of this interface
from backend.analysis.compute import add_drawn as add_drawn
from backend.analysis.compute import key
from backend.analysis.detectors import available_detectors as available_detectors
from backend.analysis.detectors import default_detector as default_detector
from backend.analysis.detectors import detector_of_encodings as detector_of_encodings
from backend.analysis.encoders import DLIB as DLIB
from backend.analysis.encoders import refusal as refusal
from backend.analysis.encoders import thresholds as thresholds
from backend.analysis.marks import MIN_SIDE_PX as MIN_SIDE_PX
from backend.analysis.marks import MarkRefused as MarkRefused
from backend.analysis.marks import forget_marks as forget_marks
from backend.analysis.marks import hide_face as hide_face
from backend.analysis.marks import mark_face as mark_face
from backend.analysis.models import Analysis, Face, source_path
from backend.analysis.pictures import crop as crop
from backend.analysis.pictures import draw as draw
from backend.analysis.pictures import jpeg as jpeg
from backend.analysis.pictures import taken_at as taken_at
from backend.analysis.pictures import upright as upright
from backend.analysis.results import Finished as Finished
from backend.analysis.results import FoundFace as FoundFace
from backend.analysis.results import GoodFaces as GoodFaces
from backend.analysis.results import QualityShape as QualityShape
from backend.analysis.results import corrected_faces as corrected_faces
from backend.analysis.results import current_model as current_model
from backend.analysis.results import dimensions as dimensions
from backend.analysis.results import face_at as face_at
from backend.analysis.results import face_id as face_id
from backend.analysis.results import faces as faces
from backend.analysis.results import failed as failed
from backend.analysis.results import finished as finished
from backend.analysis.results import first_encodings as first_encodings
from backend.analysis.results import good_faces as good_faces
from backend.analysis.results import made_by
from backend.analysis.results import maker as maker
from backend.analysis.results import model_of as model_of
from backend.analysis.results import models_of as models_of
from backend.analysis.retention import delete_unreferenced as delete_unreferenced
from backend.analysis.retention import release as release
from backend.analysis.retention import stray_sources as stray_sources
from backend.analysis.retention import unreferenced as unreferenced
from backend.analysis.retention import withdraw as withdraw
from backend.common.http import admission
from backend.common.http.errors import Unavailable
from backend.common.jobs import fair_shares, runner, wakeups
from backend.common.jobs.models import Status
from faceengine import Thresholds as Thresholds
from faceengine.imaging.budget import Slots
from wire.events import BoxShape, EventFace, shown

logger = logging.getLogger(__name__)


_LOOK_AGAIN_S: Final = 2.0
"""A wake-up ends the wait at once; a Redis that hangs sends none, so the row is read this often."""

_ONE_PIXEL: Final = bytes.fromhex(
    "47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002014400 3b"
)
"""A GIF."""


@dataclass(frozen=True)
class Result:
    """A finished analysis: its row's id, and the faces in `face_recognition`'s order.

    With corrections: hidden ones are in their places, drawn ones behind them.
    """

    analysis_id: int
    faces: Sequence[EventFace]
    faces_count: int = field(default=0, compare=False)
    """That the detector found."""
    made_by: str = field(default="", compare=False)
    """As `Finished.made_by`."""
    model: str = field(default="", compare=False)
    photo: faceengine.Photo | None = field(default=None, compare=False, repr=False)
    """The decoded image, if it was computed just now: to be used while its file is open."""

    @property
    def boxes(self) -> list[BoxShape]:
        """Of the faces that are shown."""
        return shown_boxes(self.faces)


def load_engine() -> None:
    """Load the engine before the pool forks, so that its workers share the memory."""
    detectors.configure_engine()
    faceengine.keep_memory()
    # A CUDA context does not survive a fork: each worker makes its own.
    if "cuda" not in settings.FACES_PROVIDERS:
        # All, because a request may name any: 1 MB for each beyond the first.
        for detector in detectors.available_detectors():
            faceengine.load(detector, encoders.current())
        if encoders.current() != faceengine.DLIB:
            faceengine.load(encoder=faceengine.DLIB)  # of photos and references
    # Decoders are loaded with the first image; without this one, by each worker for itself.
    check_image(io.BytesIO(_ONE_PIXEL))


def release_memory() -> None:
    """Give the kernel back what was kept for the next image, as a worker does that has none."""
    faceengine.release_memory()


def check_image(image: BinaryIO) -> None:
    """Decode `image` as cheaply as its format allows; `AnalysisError` if it cannot be used.

    Raises `Unavailable` where too many images that take long are being decoded.
    """
    try:
        with computing.decoding():
            faceengine.check_image(
                image,
                max_pixels=settings.FACES_MAX_IMAGE_PIXELS,
                waiting=_waiting_for_decoder,
                client=admission.caller_key.get(),
            )
    except faceengine.Busy as error:
        raise Unavailable(str(error)) from error


@contextmanager
def _waiting_for_decoder() -> Iterator[None]:
    """Another request runs meanwhile. Some threads never wait so, and one caller takes half."""
    waiting = _waiting_slots().held(admission.caller_key.get(), timeout_s=0)
    with waiting as is_held, admission.blocking_wait_slot() as may_wait:
        if not (is_held and may_wait):
            raise Unavailable
        yield


@cache
def _waiting_slots() -> Slots:
    threads = settings.FACES_WEB_THREADS
    return Slots(threads, max(1, threads * 3 // 8))


def client_owner(client_id: int) -> str:
    """The `owner` of a client's images."""
    return f"client:{client_id}"


def one_time_owner() -> str:
    """The `owner` of images that are only compared: no other request shares their analysis."""
    return f"once:{uuid.uuid4().hex}"


def analyse(
    image: BinaryIO, *, owner: str, sha256: str, detector: str = "", model: str = ""
) -> Result:
    """The faces of `image`, whose bytes hash to `sha256`: known, computed now, or awaited.

    `model` is the name of an encoder, `DLIB` or empty for the service's.
    """
    done = computing.analyse(image, owner=owner, sha256=sha256, detector=detector, model=model)
    return _result(done.analysis, done.faces, done.photo)


def request(image: File[Any], *, owner: str, sha256: str, detector: str = "") -> int:
    """Ask for the faces of `image`: the id of its analysis, to `wait` for.

    A second request of the owner with the same detector returns the same analysis; a failed one is
    tried again.
    """
    analysis, is_new = _placed(image, key(owner, sha256, detector))
    if is_new:
        transaction.on_commit(analysis.enqueue)
    return analysis.pk


def request_many(
    images: Sequence[tuple[File[Any], str]], *, owner: str, detector: str = ""
) -> list[int]:
    """`request` for several images, each with the SHA-256 of its bytes, in as few jobs."""
    placed = [_placed(image, key(owner, sha256, detector)) for image, sha256 in images]
    new = [analysis for analysis, is_new in placed if is_new]
    transaction.on_commit(lambda: batches.enqueue(new))
    return [analysis.pk for analysis, _ in placed]


def _placed(image: File[Any], key: dict[str, Any]) -> tuple[Analysis, bool]:
    """The analysis of these bytes, and whether this process has to enqueue it."""
    analysis, _ = Analysis.objects.get_or_create(**key)
    if analysis.status == Status.DONE or analysis.source.name:
        return analysis, False
    image.seek(0)
    name = analysis.source.storage.save(source_path(analysis, ""), image)
    with transaction.atomic():
        waiting = Analysis.objects.filter(pk=analysis.pk, source="").exclude(status=Status.DONE)
        taken = waiting.update(source=name)
        failed = Analysis.objects.filter(pk=analysis.pk, status=Status.FAILED)
        failed.update(status=Status.QUEUED, attempts=0, due_at=timezone.now(), processed_at=None)
    if not taken:
        analysis.source.storage.delete(name)
    return analysis, bool(taken)


def wait(analysis_id: int, *, timeout_s: float) -> Result | None:
    """The result as soon as it is there; None after `timeout_s`.

    Raises `AnalysisError` if it failed for good.
    """
    deadline, seen = time.monotonic() + timeout_s, "0"
    while True:
        analysis = Analysis.objects.filter(pk=analysis_id).first()
        if analysis is None or analysis.status == Status.FAILED:
            raise AnalysisError(analysis.reason if analysis else runner.GIVEN_UP, permanent=True)
        if analysis.status == Status.DONE:
            return _result(analysis, analysis.faces.all())
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            return None
        pause_s = min(left_s, _LOOK_AGAIN_S)
        seen = wakeups.wait("analysis", analysis_id, seen=seen, timeout_s=pause_s)


def compute(id: str) -> None:
    """Compute a requested analysis, if this process can claim it."""
    runner.run(Analysis, id, computing.compute_requested)


def compute_many(ids: Sequence[str]) -> None:
    """`compute` for several at once; where that fails, each by itself."""
    for analysis in batches.compute(ids):
        compute(str(analysis.pk))


def compute_next() -> None:
    """`compute` for the analysis whose owner's turn it is."""
    runner.run_next(Analysis, computing.compute_requested)


def compute_next_many(count: int) -> None:
    """`compute_many` for up to `count` due analyses, those of one owner together."""
    while taken := fair_shares.claim_some(Analysis, count):
        count -= len(taken)
        for analysis in batches.compute_claimed(taken):
            compute(str(analysis.pk))


def sweep() -> None:
    """Delete analyses whose worker died with the bytes in hand: their requester tries again."""
    in_hand = Analysis.objects.filter(status=Status.PROCESSING, source="")
    for analysis in in_hand:
        if analysis.is_lost(timezone.now()):
            retention.delete_as_seen(in_hand.filter(pk=analysis.pk, claimed_by=analysis.claimed_by))


def boxes(analysis_id: int) -> list[BoxShape]:
    """The boxes of a finished analysis, in order."""
    return [face["box"] for face in event_faces(analysis_id)]


def event_faces(analysis_id: int) -> list[EventFace]:
    """The faces of a finished analysis as an event has them, in order."""
    return [_event_face(row) for row in Face.objects.filter(analysis_id=analysis_id)]


def shown_boxes(faces: Iterable[EventFace]) -> list[BoxShape]:
    """The boxes of those of `faces` that were not hidden by hand."""
    return [face["box"] for face in shown(faces)]


def _event_face(row: Face) -> EventFace:
    box = BoxShape(top=row.top, right=row.right, bottom=row.bottom, left=row.left)
    face = EventFace(box=box, rotation=row.rotation) if row.rotation else EventFace(box=box)
    if row.by_hand:
        face["by_hand"] = row.by_hand
    return face


def _result(
    analysis: Analysis, faces: Iterable[Face], photo: faceengine.Photo | None = None
) -> Result:
    placed = [_event_face(row) for row in faces]
    return Result(
        analysis.pk, placed, analysis.faces_count, made_by(analysis), analysis.model, photo
    )
