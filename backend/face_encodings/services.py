"""Encodings by the hash of the bytes: requested, awaited, stored, counted, erased.

A client reads the encodings of bytes that it sent itself, and no others: a hash does not prove that
its sender has the image.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any, Final

from django.conf import settings
from django.core.files.base import File
from django.db import IntegrityError, transaction
from django.db.models import Case, When
from django.utils import timezone

from backend.analysis import services as analysis
from backend.analysis.services import AnalysisError, Finished, FoundFace, Result
from backend.clients.limits import quota
from backend.common.http import admission
from backend.common.http.errors import Unavailable
from backend.common.jobs import runner
from backend.face_encodings import statistics
from backend.face_encodings.models import EncodedImage

logger = logging.getLogger(__name__)

ERASED: Final = "The image was deleted in the meantime."

_TRIES: Final = 5

_SWEPT: Final = 1000


def find(owner_id: int, sha256: str, detector: str = "") -> EncodedImage | None:
    """The client's image with this hash, whatever has become of it.

    Where no detector is named: the service's, else that by the detector that was named last.
    """
    images = EncodedImage.objects.filter(owner_id=owner_id, sha256=sha256).select_related(
        "analysis"
    )
    if detector:
        return images.filter(detector=_other(detector)).first()
    return images.order_by(Case(When(detector="", then=0), default=1), "-created_at").first()


def up_to_date(owner_id: int, sha256: str, detector: str = "") -> EncodedImage | None:
    """The client's image, if its encodings are there, made as the settings ask for now."""
    images = EncodedImage.objects.filter(owner_id=owner_id, sha256=sha256)
    image = images.filter(detector=_other(detector)).first()
    is_current = image is not None and image.made_by == analysis.maker(_concrete(detector))
    return image if is_current else None


def accept(
    uploads: Sequence[tuple[File[Any], str]], *, owner_id: int, detector: str = ""
) -> list[EncodedImage]:
    """Ask for the encodings of checked uploads, each with its hash, in as few jobs as possible.

    Raises `TooManyWaiting` or `Unavailable` when they cannot be accepted now. An analysis that is
    deleted with its last image just before this one refers to it is requested again.
    """
    for _ in range(_TRIES):
        asked = analysis.request_many(
            uploads, owner=analysis.client_owner(owner_id), detector=_concrete(detector)
        )
        hashes = [sha256 for _, sha256 in uploads]
        try:
            with transaction.atomic():
                quota.reserve(owner_id, 0)  # of no bytes, but refuses a client that is being erased
                _refuse_if_too_many_wait(owner_id)
                return [
                    _refer(owner_id, sha256, _other(detector), id)
                    for sha256, id in zip(hashes, asked, strict=True)
                ]
        except IntegrityError:
            continue
    raise Unavailable


def complete(image: EncodedImage, *, timeout_s: float) -> bool:
    """Whether the encodings of `image` are there, as soon as they are, within `timeout_s`.

    Raises `AnalysisError` if there will be none; the image is erased then.
    """
    if image.completed_at is not None:
        return True
    try:
        analysis_id = _analysis_of(image)
        found = wait(analysis_id, timeout_s=timeout_s)
    except AnalysisError:
        erase([image])
        raise
    if found is None:
        return False
    _complete(image, found)
    try:
        image.refresh_from_db()
    except EncodedImage.DoesNotExist:
        raise AnalysisError(ERASED, permanent=True) from None
    return image.completed_at is not None


def wait(analysis_id: int, *, timeout_s: float) -> Result | None:
    """The finished analysis, within `timeout_s`; None past it. Raises `AnalysisError` if it failed.

    None at once if too many threads of this process wait already.
    """
    with admission.blocking_wait_slot() as may_wait:
        return analysis.wait(analysis_id, timeout_s=timeout_s if may_wait else 0.0)


def all_of(owner_id: int, sha256: str) -> list[EncodedImage]:
    """The client's rows with this hash, by every detector."""
    return list(EncodedImage.objects.filter(owner_id=owner_id, sha256=sha256))


def faces(image: EncodedImage) -> list[FoundFace]:
    """The faces of a completed image, in `face_recognition`'s order."""
    return analysis.faces(image.analysis_id) if image.analysis_id and image.faces_count else []


def erase(images: Collection[EncodedImage]) -> None:
    """Delete images of one client for good: rows, counts, analyses; also those still in work."""
    with transaction.atomic():
        rows = EncodedImage.objects.select_for_update().filter(pk__in=[each.pk for each in images])
        held = list(rows.order_by("pk"))  # in one order: two erasures must not wait for each other
        for owner_id in sorted({image.owner_id for image in held}):
            _subtract(owner_id, [image for image in held if image.owner_id == owner_id])
        EncodedImage.objects.filter(pk__in=[image.pk for image in held]).delete()
    for image in held:
        analysis.withdraw(image.analysis_id)
    if held:
        logger.info("erased %d encoded images", len(held))


def erase_of(owner_id: int, *, at_most: int) -> int:
    """Erase up to `at_most` images of a client; returns how many there were. An eraser."""
    images = list(EncodedImage.objects.filter(owner_id=owner_id).order_by("pk")[:at_most])
    if images:
        erase(images)
    else:
        statistics.delete(owner_id)
    return len(images)


def complete_open() -> None:
    """The sweep's step: complete open images whose analysis is done, erase those whose failed."""
    rows = EncodedImage.objects.filter(completed_at=None).order_by("created_at")
    images = list(rows.exclude(analysis=None)[:_SWEPT])
    ids = [image.analysis_id for image in images if image.analysis_id is not None]
    finished, failed = analysis.finished(ids), analysis.failed(ids)
    for image in images:
        found = finished.get(image.analysis_id or 0)
        if found is not None:
            _complete(image, found)
    erase([image for image in images if image.analysis_id in failed])


def _other(detector: str) -> str:
    """The detector of the row: empty for the service's, also where a request names it."""
    return "" if detector == analysis.detector_of_encodings() else detector


def _concrete(detector: str) -> str:
    return detector or analysis.detector_of_encodings()


def _refer(owner_id: int, sha256: str, detector: str, analysis_id: int) -> EncodedImage:
    """The client's row of these bytes, which waits for this analysis if it has no other."""
    image, _ = EncodedImage.objects.select_for_update().get_or_create(
        owner_id=owner_id,
        sha256=sha256,
        detector=detector,
        defaults={"analysis_id": analysis_id},
    )
    if image.analysis_id != analysis_id:  # the service has another detector or model now
        _subtract(owner_id, [image])
        image.analysis_id, image.completed_at, image.faces_count = analysis_id, None, 0
        image.made_by = ""
        image.save()
    return image


def _analysis_of(image: EncodedImage) -> int:
    if image.analysis_id is None:
        raise AnalysisError(runner.GIVEN_UP, permanent=True)
    return image.analysis_id


def _complete(image: EncodedImage, found: Finished | Result) -> None:
    """Only the process that changes the row counts the image, so it is counted once."""
    first = analysis.first_encodings([_analysis_of(image)])
    open_image = EncodedImage.objects.filter(
        pk=image.pk, completed_at=None, analysis_id=_analysis_of(image)
    )
    with transaction.atomic():
        completed = open_image.update(
            completed_at=timezone.now(), faces_count=found.faces_count, made_by=found.made_by
        )
        if completed and not image.detector:
            model = analysis.model_of(_analysis_of(image))
            statistics.count(image.owner_id, list(first.values()), model=model)


def _subtract(owner_id: int, images: Sequence[EncodedImage]) -> None:
    counted = [
        image for image in images if image.completed_at and image.faces_count and not image.detector
    ]
    # Two counted images of a client never share an analysis: same bytes, same row.
    by_model: dict[str, list[list[float]]] = defaultdict(list)
    models = analysis.models_of([_analysis_of(image) for image in counted])
    for id, encoding in analysis.first_encodings(models).items():
        by_model[models[id]].append(encoding)
    for model, encodings in by_model.items():
        statistics.subtract(owner_id, encodings, model=model)


def _refuse_if_too_many_wait(owner_id: int) -> None:
    """Behind `quota.reserve`, which locks the owner's row: two cannot both be the last."""
    waiting = EncodedImage.objects.filter(owner_id=owner_id, completed_at=None).values("pk")
    if waiting[settings.FACES_MAX_PENDING - 1 :].exists():
        raise quota.TooManyWaiting(wait=quota.PENDING_WAIT_S)
