"""A worker's job on a photo or reference: renditions for the pages, then the faces."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, TypeVar, cast

from django.conf import settings
from django.db import transaction

from backend.analysis import services as analysis
from backend.common.http.upload_fields import sha256_of
from backend.common.jobs import runner
from backend.common.jobs.models import Status
from backend.photos.albums import service
from backend.photos.extraction import backends, dispatch, results
from backend.photos.extraction.results import FaceResult
from backend.photos.files import renditions, storage
from backend.photos.models import WIDTHS_PX, Extraction, Photo, Reference, picture_path

logger = logging.getLogger(__name__)

S = TypeVar("S", Photo, Reference)


def process(model: type[S]) -> None:
    """The job's task, for the row whose turn it is. Safe to call any number of times."""
    source = runner.run_next(model, _prepare_and_find)
    if isinstance(source, Photo):
        service.complete_album_of(source.pk)


def _prepare_and_find(source: S) -> None:
    if not source.file and not _make_pictures(source):
        return
    finds = backends.mode() is backends.Mode.WORKERS
    if finds and source.extraction == Extraction.PROCESSING:
        _find_faces(source)
    elif _succeed(source):
        dispatch.submit([source])


def _make_pictures(source: S) -> bool:
    """False if the claim on the row is no longer ours."""
    with source.original.open("rb") as file:
        image = cast(BinaryIO, file)
        widths_px = WIDTHS_PX if isinstance(source, Photo) else ()
        made = renditions.make(image, widths_px=widths_px)
        taken_at = renditions.taken_at(image) if isinstance(source, Photo) else None
    stored: dict[str, Any] = {"file": _store(source, made)}
    stored |= {"width": made.width, "height": made.height}
    stored |= {"taken_at": taken_at} if taken_at else {}
    ours = type(source)._default_manager.filter(
        pk=source.pk, status=Status.PROCESSING, claimed_by=source.claimed_by
    )
    if not ours.update(**stored):
        _clean_up(source)
        return False
    source.refresh_from_db()
    return True


def _store(source: S, made: renditions.Pictures) -> str:
    if isinstance(source, Photo):
        for width_px, jpeg in made.thumbnails.items():
            storage.store_picture(source, source.thumbnail_name(width_px), jpeg)
    return storage.store_picture(source, picture_path(source, ""), made.full)


def _find_faces(source: S) -> None:
    """In the original, while there is one.

    The analysis is not kept: what it found is copied, and has to go with the photo.
    """
    owner = f"{source._meta.model_name}:{source.pk}"
    with _image(source) as (image, sha256):
        # Their columns have dlib's 128 numbers, and their matches its distances.
        found = analysis.analyse(
            image, owner=owner, sha256=sha256, detector=source.detector, model=analysis.DLIB
        )
    faces = [FaceResult.of(face) for face in analysis.faces(found.analysis_id)]
    original = source.original.name
    with transaction.atomic():
        ended = source.succeed(original=_kept_original(source))
        if ended:
            results.record(source, faces, extractor=found.made_by)
        analysis.release(found.analysis_id)
    if ended:
        _forget_original(source, original)
    else:
        _clean_up(source)


@contextmanager
def _image(source: S) -> Iterator[tuple[BinaryIO, str]]:
    """The image to extract faces from, and its SHA-256."""
    if source.original:
        with source.original.open("rb") as file:
            yield cast(BinaryIO, file), source.sha256
    else:
        with source.file.open("rb") as file:
            yield cast(BinaryIO, file), sha256_of(file)


def _succeed(source: S) -> bool:
    original = source.original.name
    if not source.succeed(original=_kept_original(source)):
        _clean_up(source)
        return False
    _forget_original(source, original)
    return True


def _kept_original(source: S) -> str:
    """The name of the original where it is kept; else empty. A reference's never is."""
    keeps = settings.FACES_KEEP_ORIGINALS and isinstance(source, Photo)
    return source.original.name or "" if keeps else ""


def _forget_original(source: S, name: str | None) -> None:
    if name and name != _kept_original(source):
        source.file.storage.delete(name)


def _clean_up(source: S) -> None:
    """Delete the files of a row that was erased while it was processed."""
    if storage.is_gone(source):
        storage.delete_files(source)
