"""Preparation of an operation: its images are downloaded, and their faces found, in batches.

No transaction is open meanwhile. Progress is stored in the rows of the images, so that another
worker can resume it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO, Final, cast

from django.conf import settings
from django.core.files.base import File
from django.core.files.storage import default_storage
from django.db import IntegrityError, transaction

from backend.analysis import services as analysis
from backend.analysis.services import AnalysisError, Finished, FoundFace
from backend.common import image_downloads
from backend.common.image_downloads import Download, FetchError, GivenUp
from backend.common.jobs import fair_shares
from backend.common.jobs.models import TurnOver
from backend.recognition.gallery.probe import DELETED, largest
from backend.recognition.models import ENROLLING, Operation, OperationImage
from wire.events import HIDDEN

TOO_SLOW: Final = "The image took too long to analyse."
SEVERAL: Final = "{count} faces were found in the image; the largest was taken."

NO_SUCH_FACE: Final = "The image has {count} faces, counted from 0."

IS_HIDDEN: Final = "This box was hidden by hand: it holds no face."
OTHER_MODEL: Final = "The image was analysed by another encoder. Please send it again."
TOO_UNCLEAR: Final = "The face is too unclear to recognise a person by ({reason})."

CROP_PX: Final = 160
"""Sides of a crop: sharp on a phone's screen as a tile of 80 points."""

_AT_A_TIME: Final = 32
"""Images in memory or in temporary files at the same time."""

_SPENT: Final = "downloads_s"
"""Among the arguments: seconds that the downloads took in earlier turns."""

_A_JOB: Final = 8
"""The images that `analysis.services.request_many` puts into one job."""


@dataclass(frozen=True)
class ImageFinding:
    """The result of one image: a face, or none, or the reason of a failure."""

    sha256: str = ""
    face: FoundFace | None = None
    faces: Sequence[FoundFace] = ()
    crop: bytes | None = None
    model: str = ""
    note: str = ""
    reason: str = ""
    analysis_id: int | None = None
    face_index: int | None = None
    """The face that the caller chose."""


def prepare(operation: Operation) -> None:
    """Download and analyse all images that are not yet; each fails by itself.

    Raises `TurnOver` when the downloads have to leave the worker to other clients.
    """
    urls = {int(position): url for position, url in operation.arguments.get("urls", {}).items()}
    images = list(operation.images.all())
    missing = [image for image in images if image.analysis_id is None and not image.reason]
    for image in missing:
        if image.position not in urls:  # its bytes were sent, and deleted with their analysis
            _update(image, reason=DELETED)
    to_fetch = [image for image in missing if image.position in urls]
    _fetch_all(operation, to_fetch, urls)
    _analyse([image for image in images if image.analysis_id is not None])
    if settings.FACES_KEEP_CROPS and operation.kind in ENROLLING:
        enrolled = images[: len(operation.arguments["faces"])]
        _cut([image for image in enrolled if image.source_name and not image.reason])


def findings(operation: Operation) -> dict[int, ImageFinding]:
    """The results of the images of a prepared operation, by their positions."""
    images = list(operation.images.all())
    ids = [image.analysis_id for image in images if image.analysis_id is not None]
    finished = analysis.finished(ids)
    return {
        image.position: _finding(image, finished.get(image.analysis_id or 0)) for image in images
    }


def _finding(image: OperationImage, finished: Finished | None) -> ImageFinding:
    if image.reason or image.analysis_id is None or finished is None:
        return ImageFinding(image.sha256, reason=image.reason or DELETED)
    if finished.model != analysis.current_model():
        return ImageFinding(image.sha256, reason=OTHER_MODEL)
    faces = analysis.corrected_faces(image.analysis_id)
    if image.face_index is not None:
        return _one(image, faces, finished.model)
    count = sum(face.is_usable for face in faces)
    note = SEVERAL.format(count=count) if count > 1 else ""
    return ImageFinding(
        image.sha256,
        largest(faces),
        faces,
        model=finished.model,
        note=note,
        analysis_id=image.analysis_id,
    )


def _one(image: OperationImage, faces: Sequence[FoundFace], model: str) -> ImageFinding:
    """The face that the caller chose."""
    index = image.face_index or 0
    if index >= len(faces):
        return ImageFinding(image.sha256, reason=NO_SUCH_FACE.format(count=len(faces)))
    if not faces[index].is_usable:
        return ImageFinding(image.sha256, reason=_why_not(faces[index]))
    crop = None if image.crop is None else bytes(image.crop)
    return ImageFinding(
        image.sha256,
        faces[index],
        faces,
        crop,
        model,
        analysis_id=image.analysis_id,
        face_index=index,
    )


def _why_not(face: FoundFace) -> str:
    if face.by_hand == HIDDEN:
        return IS_HIDDEN
    return TOO_UNCLEAR.format(reason=face.quality["too_poor"])


def _cut(images: Sequence[OperationImage]) -> None:
    """Cut the chosen faces out of their images. A face whose image is gone has no crop."""
    for image in images:
        boxes = analysis.boxes(image.analysis_id) if image.analysis_id is not None else []
        if image.face_index is None or image.face_index >= len(boxes):
            continue
        try:
            with default_storage.open(image.source_name) as file:
                jpeg = analysis.crop(cast(BinaryIO, file), boxes[image.face_index], CROP_PX)
        except (FileNotFoundError, AnalysisError):
            continue
        _update(image, crop=jpeg)


def _fetch_all(
    operation: Operation, images: Sequence[OperationImage], urls: Mapping[int, str]
) -> None:
    """Download all images, in half of a job's time: the other half is for the faces."""
    left_s = settings.FACES_JOB_TIMEOUT_S / 2 - operation.arguments.get(_SPENT, 0.0)
    began = time.monotonic()
    for start in range(0, len(images), _AT_A_TIME):
        batch = images[start : start + _AT_A_TIME]
        in_all_s = left_s - (time.monotonic() - began)
        given_up = _fetch(operation, batch, urls, in_all_s=in_all_s)
        if len(given_up) == len(batch):  # none got its time
            raise TurnOver
        if given_up:
            spent_s = settings.FACES_JOB_TIMEOUT_S / 2 - left_s + time.monotonic() - began
            ours = Operation.objects.filter(pk=operation.pk, claimed_by=operation.claimed_by)
            ours.update(arguments={**operation.arguments, _SPENT: spent_s})
            raise TurnOver


def _fetch(
    operation: Operation,
    images: Sequence[OperationImage],
    urls: Mapping[int, str],
    *,
    in_all_s: float,
) -> list[OperationImage]:
    """Download in parallel, and request the analyses of all that are images; those given up."""
    wanted = [urls[image.position] for image in images]
    outcomes = image_downloads.client().fetch_many(
        wanted, in_all_s=in_all_s, hold=partial(fair_shares.hold, operation)
    )
    valid: list[tuple[OperationImage, Download]] = []
    given_up: list[OperationImage] = []
    with ExitStack() as downloads:
        for image, outcome in zip(images, outcomes, strict=True):
            if isinstance(outcome, GivenUp):
                given_up.append(image)
                continue
            if isinstance(outcome, FetchError):
                _update(image, reason=outcome.message)
                continue
            downloads.enter_context(outcome)
            try:
                analysis.check_image(outcome.file)  # type: ignore[arg-type]  # it reads and seeks
                valid.append((image, outcome))
            except AnalysisError as error:
                _update(image, reason=str(error))
        _request(operation, valid)
    return given_up


def _request(operation: Operation, images: Sequence[tuple[OperationImage, Download]]) -> None:
    """Request all analyses together. One that is deleted just then is requested again."""
    owner = analysis.client_owner(operation.owner_id)
    detector = operation.arguments.get("detector", "")
    files = [(File(each.file), each.sha256) for _, each in images]
    ids = analysis.request_many(files, owner=owner, detector=detector)
    for (image, _), (file, sha256), id in zip(images, files, ids, strict=True):
        try:
            with transaction.atomic():
                _update(image, analysis_id=id, sha256=sha256)
        except IntegrityError:
            id = analysis.request(file, owner=owner, sha256=sha256, detector=detector)
            _update(image, analysis_id=id, sha256=sha256)


def _analyse(images: Sequence[OperationImage]) -> None:
    """Compute the analyses here and in other free workers, and wait for these.

    This worker takes part, because a single worker that only waited would wait for itself.
    """
    ids = [image.analysis_id for image in images if image.analysis_id is not None]
    for start in range(0, len(ids), _A_JOB):
        analysis.compute_many([str(id) for id in ids[start : start + _A_JOB]])
    deadline = time.monotonic() + settings.FACES_JOB_TIMEOUT_S / 4
    for image, id in zip(images, ids, strict=True):
        try:
            if analysis.wait(id, timeout_s=max(0.0, deadline - time.monotonic())) is None:
                _update(image, reason=TOO_SLOW)
        except AnalysisError as error:
            _update(image, reason=str(error))


def _update(image: OperationImage, **changes: object) -> None:
    for name, value in changes.items():
        setattr(image, name, value)
    image.save(update_fields=list(changes))
