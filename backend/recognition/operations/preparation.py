"""Before its effect: the images of a call are fetched and their faces found, all together.

No transaction is open meanwhile, and nothing waits for it: calls are prepared side by side. What is
done is in the rows of the images, so that whoever takes a call over goes on from there.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from django.conf import settings
from django.core.files.base import File
from django.db import IntegrityError, transaction

from backend.analysis import services as analysis
from backend.analysis.services import AnalysisError, Finished, FoundFace
from backend.common import image_downloads
from backend.common.image_downloads import Download, FetchError
from backend.recognition.models import Operation, OperationImage

DELETED: Final = "The image was deleted in the meantime."
TOO_SLOW: Final = "The image took too long to analyse."
SEVERAL: Final = "{count} faces were found in the image; the largest was taken."

_AT_A_TIME: Final = 32
"""Images that are held at once, in memory or in temporary files."""

_A_JOB: Final = 8
"""As many as `analysis.services.request_many` puts into one job."""


@dataclass(frozen=True)
class ImageFinding:
    """What is known of one image of a call: a face, or none, or why it cannot be said."""

    sha256: str = ""
    face: FoundFace | None = None
    model: str = ""
    note: str = ""
    reason: str = ""


def prepare(operation: Operation) -> None:
    """Fetch and analyse all images that are not yet; an image that fails spoils no other."""
    urls = {int(place): url for place, url in operation.arguments.get("urls", {}).items()}
    images = list(operation.images.all())
    missing = [image for image in images if image.analysis_id is None and not image.reason]
    for image in missing:
        if image.position not in urls:  # its bytes were sent, and went with their analysis
            _note(image, reason=DELETED)
    to_fetch = [image for image in missing if image.position in urls]
    # Half of what a job may take: the other half is for the faces.
    end = time.monotonic() + settings.FACES_JOB_TIMEOUT_S / 2
    for start in range(0, len(to_fetch), _AT_A_TIME):
        downloaded = to_fetch[start : start + _AT_A_TIME]
        _fetch(downloaded, urls, operation.owner_id, in_all_s=end - time.monotonic())
    _analyse([image for image in images if image.analysis_id is not None])


def findings(operation: Operation) -> dict[int, ImageFinding]:
    """What the images of a prepared call show, by their places in it."""
    images = list(operation.images.all())
    ids = [image.analysis_id for image in images if image.analysis_id is not None]
    finished = analysis.finished(ids)
    return {image.position: _seen(image, finished.get(image.analysis_id or 0)) for image in images}


def _seen(image: OperationImage, finished: Finished | None) -> ImageFinding:
    if image.reason or image.analysis_id is None or finished is None:
        return ImageFinding(image.sha256, reason=image.reason or DELETED)
    faces = analysis.faces(image.analysis_id) if finished.faces_count else []
    model = finished.model
    if not faces:
        return ImageFinding(image.sha256, model=model)
    best = max(faces, key=lambda face: (face.quality["size_px"], face.quality["score"]))
    note = SEVERAL.format(count=len(faces)) if len(faces) > 1 else ""
    return ImageFinding(image.sha256, best, model, note)


def _fetch(
    images: Sequence[OperationImage], urls: Mapping[int, str], owner_id: int, *, in_all_s: float
) -> None:
    """Download in parallel, and ask for the faces of all that came."""
    wanted = [urls[image.position] for image in images]
    outcomes = image_downloads.client().fetch_many(wanted, in_all_s=in_all_s)
    with ExitStack() as downloads:
        for outcome in outcomes:
            if isinstance(outcome, Download):
                downloads.enter_context(outcome)
        good: list[tuple[OperationImage, Download]] = []
        for image, outcome in zip(images, outcomes, strict=True):
            if reason := _refusal(outcome):
                _note(image, reason=reason)
            elif isinstance(outcome, Download):
                good.append((image, outcome))
        _request(good, owner=analysis.client_owner(owner_id))


def _refusal(outcome: Download | FetchError) -> str:
    if isinstance(outcome, FetchError):
        return outcome.message
    try:
        analysis.check_image(outcome.file)  # type: ignore[arg-type]  # it reads and seeks
    except AnalysisError as error:
        return str(error)
    return ""


def _request(images: Sequence[tuple[OperationImage, Download]], *, owner: str) -> None:
    """Their analyses, all asked for at once; one that goes just then is asked for once more."""
    asked = [(File(each.file), each.sha256) for _, each in images]
    ids = analysis.request_many(asked, owner=owner)
    for (image, each), (file, sha256), id in zip(images, asked, ids, strict=True):
        try:
            with transaction.atomic():
                _note(image, analysis_id=id, sha256=sha256)
        except IntegrityError:
            id = analysis.request(file, owner=owner, sha256=each.sha256)
            _note(image, analysis_id=id, sha256=sha256)


def _analyse(images: Sequence[OperationImage]) -> None:
    """Have them all analysed, by this worker and all others that are free.

    Where this one only waited for jobs, a single worker would wait for itself.
    """
    ids = [image.analysis_id for image in images if image.analysis_id is not None]
    for start in range(0, len(ids), _A_JOB):
        analysis.compute_many([str(id) for id in ids[start : start + _A_JOB]])
    deadline = time.monotonic() + settings.FACES_JOB_TIMEOUT_S / 4
    for image in images:
        if reason := _failure(image, deadline):
            _note(image, reason=reason)


def _failure(image: OperationImage, deadline: float) -> str:
    """Why the image has no analysis; empty as soon as it has."""
    assert image.analysis_id is not None
    try:
        left_s = max(0.0, deadline - time.monotonic())
        done = analysis.wait(image.analysis_id, timeout_s=left_s)
    except AnalysisError as error:
        return str(error)
    return "" if done else TOO_SLOW


def _note(image: OperationImage, **changes: object) -> None:
    for name, value in changes.items():
        setattr(image, name, value)
    image.save(update_fields=list(changes))
