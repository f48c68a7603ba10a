"""Results of analyses as plain values: the read model of the other apps."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, TypedDict

from django.db.models import F, QuerySet

import faceengine
from backend.analysis import compute, encoders, marks
from backend.analysis.fields import read_many
from backend.analysis.marks import HIDDEN
from backend.analysis.models import Analysis, Face
from backend.analysis.nearest import Floats32
from backend.common.jobs.models import Status
from wire.events import BoxShape


class QualityShape(TypedDict):
    """How good a face is to recognise a person by; docs/faceengine.md says what each means."""

    score: float
    size_px: int
    sharpness: float
    yaw: float
    roll: float
    too_poor: str | None


@dataclass(frozen=True)
class FoundFace:
    """One face: its box in the upright image's pixels, its numbers, its quality.

    One that was drawn by hand and is too unclear has no numbers.

    `rotation` is by how many degrees clockwise it is turned: 0, 90, 180 or 270.
    """

    box: BoxShape
    encoding: list[float]
    quality: QualityShape
    rotation: int = 0
    model: str = ""
    """That made the encoding; empty: dlib's."""
    by_hand: str = ""
    """"drawn" or "hidden", of `marks`; empty: found, and not corrected."""

    @property
    def is_usable(self) -> bool:
        """Whether a person can be recognised by it: a drawn one may be too unclear."""
        return self.by_hand != HIDDEN and bool(self.encoding)


@dataclass(frozen=True)
class Finished:
    """A finished analysis in short."""

    faces_count: int
    """That the detector found."""
    made_by: str
    """Detector, bound of pixels and model: what the result depends on besides the bytes."""
    model: str


@dataclass(frozen=True, eq=False)
class GoodFaces:
    """Faces by which a person can be recognised, the oldest first."""

    places: list[tuple[int, int, int]]
    """Of each face its primary key, its analysis and its place in that."""
    encodings: Floats32
    """Shape (n, numbers of an encoding)."""

    def newest(self, count: int) -> GoodFaces:
        """The last `count` of them."""
        start = max(0, len(self.places) - count)
        return GoodFaces(self.places[start:], self.encodings[start:])


def faces(analysis_id: int) -> list[FoundFace]:
    """The faces that the detector found, in order, whatever was corrected by hand since."""
    return [_face(row) for row in _rows(analysis_id).filter(index__lt=F("analysis__faces_count"))]


def corrected_faces(analysis_id: int) -> list[FoundFace]:
    """`faces` as they were corrected: hidden ones in their places, drawn ones behind them."""
    return [_face(row) for row in _rows(analysis_id)]


def face_at(analysis_id: int, box: BoxShape) -> int | None:
    """The place of the face that is shown nearest to `box`; None where there is none."""
    wanted = faceengine.Box(**box)
    shown = Face.objects.filter(analysis_id=analysis_id).exclude(by_hand=HIDDEN)
    near = [(faceengine.overlap(marks.box_of(row), wanted), row.index) for row in shown]
    best = max(near, default=(0.0, -1))
    return best[1] if best[0] >= marks.SAME_BOX else None


def finished(analysis_ids: Collection[int]) -> dict[int, Finished]:
    """Those of the analyses that are DONE."""
    rows = Analysis.objects.filter(pk__in=analysis_ids, status=Status.DONE)
    return {row.pk: Finished(row.faces_count, made_by(row), row.model) for row in rows}


def failed(analysis_ids: Collection[int]) -> set[int]:
    """Those of the analyses that are FAILED."""
    rows = Analysis.objects.filter(pk__in=analysis_ids, status=Status.FAILED)
    return set(rows.values_list("pk", flat=True))


def face_id(analysis_id: int, index: int) -> int | None:
    """The primary key of a face, for references to it: they go with the analysis."""
    found = Face.objects.filter(analysis_id=analysis_id, index=index)
    return found.values_list("pk", flat=True).first()


def good_faces(analysis_ids: Collection[int], model: str) -> GoodFaces:
    """The faces of these analyses by which a person can be recognised, encoded by `model`."""
    rows = Face.objects.filter(analysis__in=analysis_ids, analysis__model=model, too_poor="")
    rows = rows.exclude(by_hand=HIDDEN)
    integers, encodings = read_many(rows.order_by("pk"), "pk", "analysis_id", "index")
    places = [(pk, analysis, index) for pk, analysis, index in integers.tolist()]
    return GoodFaces(places, encodings)


def models_of(analysis_ids: Collection[int]) -> dict[int, str]:
    """The models of the analyses' encodings; one that is gone is left out."""
    rows = Analysis.objects.filter(pk__in=analysis_ids)
    return dict(rows.values_list("pk", "model"))


def model_of(analysis_id: int) -> str:
    """The model of an analysis's encodings; empty of one that is gone."""
    return models_of([analysis_id]).get(analysis_id, "")


def first_encodings(analysis_ids: Iterable[int]) -> dict[int, list[float]]:
    """The encoding of each analysis's first face; one without faces is left out."""
    found = Face.objects.filter(analysis_id__in=list(analysis_ids), analysis__faces_count__gt=0)
    rows = found.filter(index=0).order_by()
    stored = rows.values_list("analysis_id", "encoding")
    return {id: encoding.tolist() for id, encoding in stored}


def _rows(analysis_id: int) -> QuerySet[Any]:
    rows = Face.objects.with_encodings().filter(analysis_id=analysis_id)
    return rows.annotate(model=F("analysis__model"))


def _face(row: Any) -> FoundFace:
    return FoundFace(
        box=BoxShape(top=row.top, right=row.right, bottom=row.bottom, left=row.left),
        encoding=[] if row.encoding is None else row.encoding.tolist(),
        quality=QualityShape(
            score=row.score,
            size_px=row.size_px,
            sharpness=row.sharpness,
            yaw=row.yaw,
            roll=row.roll,
            too_poor=row.too_poor or None,
        ),
        rotation=row.rotation,
        model="" if row.model == encoders.DLIB else row.model,
        by_hand=row.by_hand,
    )


def maker(detector: str) -> str:
    """`Finished.made_by` of a new analysis by `detector`."""
    return made_by(Analysis(**compute.key("", "", detector)))


def current_model() -> str:
    """The model of new encodings."""
    return encoders.current().name


def dimensions(model: str) -> int | None:
    """The numbers of an encoding of `model`; None of one that this service does not have."""
    encoder = encoders.known(model)
    return encoder.dimensions if encoder else None


def made_by(row: Analysis) -> str:
    """As `Finished.made_by`."""
    return f"{row.detector}/{row.detection_pixels}/{row.model}"
