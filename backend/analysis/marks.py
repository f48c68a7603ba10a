"""Corrections by hand: boxes that were drawn round missed faces, and boxes that hold none.

A `Mark` is of an owner's bytes. Each analysis of these has it as rows of its own: a drawn face
behind the found ones, a hidden one in its place, so that the places of the others stay.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Final

from django.db import transaction
from django.db.models import QuerySet

from backend.analysis.models import Analysis, Face, Mark
from backend.common.jobs import statements
from backend.common.jobs.models import Status
from faceengine import Box, overlap
from wire.events import BoxShape

MOST: Final = 100
"""Marks of an image: each drawn one is looked at again in every analysis of it."""

SAME_BOX: Final = 0.4
"""Overlap from which two boxes are of one face: detectors differ, but two faces hardly overlap."""

MIN_SIDE_PX: Final = 8
"""Of a drawn box: less is a slip of the hand."""

DRAWN: Final = Mark.Kind.DRAWN
HIDDEN: Final = Mark.Kind.HIDDEN

# Asked for each image, of which few were corrected: the ORM would take 1 ms to say so.
_ANY: Final = "SELECT 1 FROM analysis_mark WHERE owner = %s AND sha256 = %s LIMIT 1"


class MarkRefused(Exception):
    """What was asked for is not possible; the message says why."""


def mark_face(owner: str, sha256: str, box: BoxShape) -> bool:
    """Store that there is a face in `box`; False if it was found or drawn before.

    A face that was hidden there is shown again. Raises `MarkRefused`.
    """
    with transaction.atomic():
        analyses, marks = _locked(owner, sha256)
        wanted = Box(**box)
        hidden = [mark for mark in marks if mark.kind == HIDDEN and is_at(mark, wanted)]
        if hidden:
            _show(analyses, hidden)
            return False
        faces = Face.objects.filter(analysis__in=analyses).exclude(by_hand=HIDDEN)
        if any(is_at(face, wanted) for face in faces):
            return False
        if len(marks) >= MOST:
            raise MarkRefused(f"An image has at most {MOST} corrections.")
        Mark.objects.create(owner=owner, sha256=sha256, kind=DRAWN, **box)
        return True


def hide_face(owner: str, sha256: str, box: BoxShape) -> None:
    """Store that `box`, which is one of a face's, holds no face. Raises `MarkRefused`."""
    with transaction.atomic():
        analyses, marks = _locked(owner, sha256)
        wanted = Box(**box)
        faces = [face for face in _faces(analyses) if is_at(face, wanted)]
        drawn = [face.pk for face in faces if face.by_hand == DRAWN]
        # Deleted means gone; the row stays, so that the places of the faces behind it do.
        Face.objects.filter(pk__in=drawn).update(by_hand=HIDDEN, encoding=None)
        Mark.objects.filter(pk__in=_at([m for m in marks if m.kind == DRAWN], wanted)).delete()
        found = [face for face in faces if face.by_hand == ""]
        if not found:
            return
        if len(marks) >= MOST:
            raise MarkRefused(f"An image has at most {MOST} corrections.")
        Mark.objects.create(owner=owner, sha256=sha256, kind=HIDDEN, **box)
        Face.objects.filter(pk__in=[face.pk for face in found]).update(by_hand=HIDDEN)


def of_bytes(analysis: Analysis) -> list[Mark]:
    """What was said of the bytes of `analysis`."""
    owner, sha256 = analysis.owner, analysis.sha256
    return list(_marks(owner, sha256)) if statements.is_there(_ANY, [owner, sha256]) else []


def missing(marks: Iterable[Mark], faces: Iterable[Face]) -> list[Mark]:
    """Those of `marks` that were drawn and are at none of `faces`."""
    shown = [face for face in faces if face.by_hand != HIDDEN]
    drawn = [mark for mark in marks if mark.kind == DRAWN]
    return [mark for mark in drawn if not any(is_at(face, box_of(mark)) for face in shown)]


def hide_known(marks: Iterable[Mark], faces: Iterable[Face]) -> None:
    """Hide those of `faces`, which are new, that were hidden on these bytes before."""
    hidden = [mark for mark in marks if mark.kind == HIDDEN]
    for face in faces:
        if any(is_at(mark, box_of(face)) for mark in hidden):
            face.by_hand = HIDDEN


def marked(analyses: Collection[Analysis]) -> set[int]:
    """Primary keys of those of `analyses` whose bytes were corrected."""
    hashes = {each.sha256 for each in analyses}
    rows = Mark.objects.filter(sha256__in=hashes).values_list("owner", "sha256")
    there = set(rows)
    return {each.pk for each in analyses if (each.owner, each.sha256) in there}


def forget_marks(owner: str, sha256: str) -> None:
    """Delete all that was said of these bytes, also where an analysis of them stays.

    In the transaction of the caller.
    """
    _locked(owner, sha256)
    Mark.objects.filter(owner=owner, sha256=sha256).delete()
    faces = Face.objects.filter(analysis__owner=owner, analysis__sha256=sha256)
    faces.filter(encoding=None).delete()
    faces.filter(by_hand=DRAWN).delete()
    faces.filter(by_hand=HIDDEN).update(by_hand="")


def finished(owner: str, sha256: str) -> list[Analysis]:
    """The finished analyses of an owner's bytes, by each detector that was asked."""
    return list(Analysis.objects.filter(owner=owner, sha256=sha256, status=Status.DONE))


def _locked(owner: str, sha256: str) -> tuple[list[Analysis], list[Mark]]:
    """The finished analyses and the marks of these bytes, so that no other process adds one."""
    rows = Analysis.objects.select_for_update().filter(owner=owner, sha256=sha256).order_by("pk")
    analyses = [row for row in rows if row.status == Status.DONE]
    return analyses, list(_marks(owner, sha256))


def _show(analyses: Sequence[Analysis], hidden: Sequence[Mark]) -> None:
    for face in _faces(analyses):
        is_found = face.by_hand == HIDDEN and face.encoding is not None
        if is_found and any(is_at(mark, box_of(face)) for mark in hidden):
            Face.objects.filter(pk=face.pk).update(by_hand="")
    Mark.objects.filter(pk__in=[mark.pk for mark in hidden]).delete()


def _faces(analyses: Sequence[Analysis]) -> QuerySet[Face]:
    return Face.objects.with_encodings().filter(analysis__in=analyses)


def _marks(owner: str, sha256: str) -> QuerySet[Mark]:
    return Mark.objects.filter(owner=owner, sha256=sha256).order_by("pk")


def _at(rows: Iterable[Mark], box: Box) -> list[int]:
    return [row.pk for row in rows if is_at(row, box)]


def is_at(row: Mark | Face, box: Box) -> bool:
    """Whether `row` and `box` are of one face."""
    return overlap(box_of(row), box) >= SAME_BOX


def box_of(row: Mark | Face) -> Box:
    """The box of a row."""
    return Box(row.top, row.right, row.bottom, row.left)
