"""Matching: pairs of a face and a reference that are near each other.

A photo's faces are compared with all references, a reference with all faces, when their encodings
are recorded. `Matching` says why no pair is missed; a pair is one row however often it is found.
Everything here may run twice and concurrently.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from copy import copy
from typing import Any, Final

import numpy
from django.conf import settings
from django.db import IntegrityError, transaction

from backend.analysis.fields import read_many
from backend.analysis.nearest import Floats32, Integers
from backend.common.jobs import runner
from backend.common.jobs.models import JobError, Status
from backend.photos.clustering import grouping
from backend.photos.matching import rejections
from backend.photos.models import (
    ManualTag,
    Match,
    Matching,
    MatchRejection,
    Member,
    Photo,
    PhotoFace,
    Reference,
    RejectedImage,
    lock_for_deletion,
)
from backend.photos.similarity import search

logger = logging.getLogger(__name__)

_TRIES: Final = 5

_AT_A_TIME: Final = 500
"""Rows of one transaction: on SQLite all other writers wait as long as it takes."""


def photo_recorded(photo: Photo) -> None:
    """Request the matching of `photo`, in the transaction that inserts its faces."""
    rejections.repeat(photo)
    _ask(photo=photo)


def reference_recorded(reference: Reference) -> None:
    """Request the matching of `reference`, in the transaction that stores its encoding."""
    _ask(reference=reference)


def delete_matches_of(member: Member) -> None:
    """Delete all matches, rejections, tags and groups of `member`, before their references.

    Call it in a transaction: until its end no worker inserts a match of one of the references.
    """
    lock_for_deletion(Reference.objects.filter(member=member))
    Match.objects.filter(reference__member=member).delete()
    MatchRejection.objects.filter(member=member).delete()
    RejectedImage.objects.filter(member=member).delete()
    ManualTag.objects.filter(member=member).delete()
    grouping.release(member)


def is_pending(member: Member) -> bool:
    """Whether a reference of `member` is still to be compared with the photos."""
    pending = Matching.objects.filter(reference__member=member)
    return pending.exclude(status=Status.FAILED).exists()


def request_again(*, everything: bool = False) -> int:
    """Request failed matchings again, or those of all references after the distance was changed.

    Returns how many were requested. Pairs that are too far by now are deleted at once.
    """
    failed = Matching.objects.filter(status=Status.FAILED)
    asked = sum(matching.start_again() for matching in failed)
    if everything:
        _drop_far()
        for reference in Reference.objects.matching().filter(matching=None):
            with transaction.atomic():
                _ask(reference=reference)
            asked += 1
    return asked


def run(id: str) -> None:
    """The job's task. Safe to call any number of times."""
    runner.run(Matching, id, _match)


def _ask(**side: Any) -> None:
    Matching.objects.filter(**side).delete()  # a worker that compares old encodings loses its claim
    matching = Matching.objects.create(**side)
    transaction.on_commit(matching.enqueue)


def _drop_far() -> None:
    far = Match.objects.filter(distance__gte=settings.FACES_MATCH_DISTANCE)
    ids = list(far.values_list("pk", flat=True))
    for start in range(0, len(ids), _AT_A_TIME):
        Match.objects.filter(pk__in=ids[start : start + _AT_A_TIME]).delete()


def log_failure(matching: Matching) -> None:
    logger.error("not compared %s; `manage.py match_photos` asks for it again", matching)


def _match(matching: Matching) -> None:
    for _ in range(_TRIES):
        found = _compared(matching)
        try:
            store(matching, found)
            return
        except IntegrityError:
            # A face or reference was deleted just now: comparing again leaves it out.
            continue
    raise JobError(runner.GIVEN_UP, permanent=False)


def _compared(matching: Matching) -> list[Match]:
    if matching.photo_id is not None:
        return of_photo(matching.photo_id)
    return of_reference(matching.reference_id) if matching.reference_id is not None else []


def of_photo(photo_id: int) -> list[Match]:
    """Matches of the photo's faces with all references."""
    faces, encodings = _read(PhotoFace.objects.filter(photo_id=photo_id).order_by("pk"))
    near = search.within_distance(encodings, Reference, below=settings.FACES_MATCH_DISTANCE)
    counting = _counting({each.id for each in near})
    return [
        Match(
            reference_id=each.id,
            face_id=int(faces[each.probe]),
            photo_id=photo_id,
            distance=each.distance,
        )
        for each in near
        if each.id in counting
    ]


def of_reference(reference_id: int) -> list[Match]:
    """Matches of the reference with all faces."""
    counting = Reference.objects.matching().filter(pk=reference_id)
    references, encodings = _read(counting)
    near = search.within_distance(encodings, PhotoFace, below=settings.FACES_MATCH_DISTANCE)
    photos = _photos_of([each.id for each in near])
    return [
        Match(
            reference_id=int(references[each.probe]),
            face_id=each.id,
            photo_id=photos[each.id],
            distance=each.distance,
        )
        for each in near
        if each.id in photos
    ]


def _read(rows: Any) -> tuple[Integers, Floats32]:
    integers, encodings = read_many(rows, "pk")
    return integers[:, 0], numpy.ascontiguousarray(encodings)


def _counting(ids: set[int]) -> set[int]:
    """Those of the references that are active."""
    rows = Reference.objects.matching().filter(pk__in=ids).order_by()
    return set(rows.values_list("pk", flat=True)) if ids else set()


def _photos_of(face_ids: Sequence[int]) -> dict[int, int]:
    found: dict[int, int] = {}
    for start in range(0, len(face_ids), _AT_A_TIME):
        some = PhotoFace.objects.filter(pk__in=face_ids[start : start + _AT_A_TIME]).order_by()
        found.update(some.values_list("pk", "photo_id"))
    return found


def store(matching: Matching, found: Sequence[Match]) -> None:
    """Insert the pairs in batches; the matching ends in the transaction of the last batch.

    Raises `IntegrityError` if a face or reference was deleted since they were found.
    """
    parts = [found[start : start + _AT_A_TIME] for start in range(0, len(found), _AT_A_TIME)]
    for some in parts[:-1]:
        with transaction.atomic():
            _insert(some)
    with transaction.atomic():
        _insert(parts[-1] if parts else [])
        _end(matching)
    sides = (matching.photo_id, matching.reference_id, len(found))
    logger.info("compared photo=%s reference=%s pairs=%d", *sides)


def _insert(matches: Sequence[Match]) -> None:
    Match.objects.bulk_create(matches, ignore_conflicts=True)
    if matches:
        grouping.remove_matched([match.face_id for match in matches])


def _end(matching: Matching) -> None:
    # Serialises with a deletion of the photo.
    photos = Photo.objects.filter(matching=matching).select_for_update(no_key=True, of=("self",))
    held = list(photos.values_list("pk", flat=True))
    # A copy, because a rollback would not undo changes of the instance.
    if copy(matching).succeed():
        for photo_id in held:
            grouping.add_unmatched(PhotoFace.objects.filter(photo_id=photo_id))
        Matching.objects.filter(pk=matching.pk).delete()
