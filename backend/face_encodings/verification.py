"""Verification (1:1): the distance of two encodings, the verdict, and its false-accept rate.

Published false-accept rates: the author of the model tested it on LFW's 3000 pairs of
different people (the program `dlib_face_recognition_resnet_model_v1_lfw_test`, whose results stand
at its end). Made from one upright picture of each face, as ours are, and at a threshold of 0.6,
0.994667 of them were told apart, and at 0.622864, where both kinds of error are as frequent,
0.991333. The well-known 99.38 % at 0.6 is of encodings that are the means of a hundred jittered
pictures each. There are no published figures of other thresholds; a lower one accepts less, so the
rate of the next higher one is a bound. Ours are cut out by 5 landmarks instead of 68.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, NoReturn, NotRequired, TypedDict

import numpy
from django.conf import settings
from django.core.files.base import File

from backend.analysis import services as analysis
from backend.analysis.services import AnalysisError
from backend.common.http.errors import Unavailable
from backend.common.http.upload_fields import sha256_of
from backend.face_encodings import services
from backend.face_encodings.models import EncodedImage

Encoding = Sequence[float]

_PUBLISHED: Final = ((0.6, 1 - 0.994667), (0.622864, 1 - 0.991333))
"""Thresholds, and the share of LFW's pairs of different people that they accept."""

SOURCE: Final = (
    "LFW's 3000 pairs of different people, as published with the model: dlib.net, "
    "dlib_face_recognition_resnet_model_v1_lfw_test, results without jittering"
)

_NONE_PUBLISHED: Final = "There are no published figures of this model."


class FalseAcceptRate(TypedDict):
    """How often two different people are accepted as one; `at_most` is None if unknown."""

    at_most: float | None
    measured_at_threshold: float | None
    source: str


class Box(TypedDict):
    """Pixels of the upright image."""

    top: int
    right: int
    bottom: int
    left: int


class SideFace(NamedTuple):
    """One face of a side; an encoding that was sent itself, or of the first face, has no box."""

    encoding: Encoding
    box: Box | None = None
    model: str = analysis.DLIB


class Pair(TypedDict):
    """The two faces that a verdict is about, from 0 in the order of their sides."""

    face_1: int
    face_2: int


class Verdict(TypedDict):
    distance: float
    same_person: bool | None
    threshold: float | None
    false_accept_rate: FalseAcceptRate
    faces_1: NotRequired[list[Box | None]]
    faces_2: NotRequired[list[Box | None]]
    distances: NotRequired[list[list[float]]]
    pair: NotRequired[Pair]


class NoFace(Exception):
    """The image of the side (1 or 2) shows no face."""

    def __init__(self, side: int) -> None:
        super().__init__(f"side {side}")
        self.side = side


def verdict(a: Encoding, b: Encoding, *, model: str = analysis.DLIB) -> Verdict:
    """Compare two encodings of one model by their Euclidean distance, as `face_recognition` does.

    Of a model without thresholds there is a distance alone.
    """
    distance, known = math.dist(a, b), analysis.thresholds(model)
    threshold = known.same_person if known else None
    return Verdict(
        distance=distance,
        same_person=None if threshold is None else distance <= threshold,
        threshold=threshold,
        false_accept_rate=false_accept_rate(threshold, model=model),
    )


def verdict_of_all(ones: Sequence[SideFace], twos: Sequence[SideFace]) -> Verdict:
    """Compare every face of one side with every face of the other; the verdict is of the nearest.

    `distances` has a row for each face of the first side and a column for each of the second.
    """
    columns = numpy.array([face.encoding for face in twos], dtype=numpy.float64)
    rows = [
        numpy.linalg.norm(columns - numpy.asarray(face.encoding), axis=1).tolist() for face in ones
    ]
    row = min(range(len(rows)), key=lambda index: min(rows[index]))
    column = min(range(len(twos)), key=lambda index: rows[row][index])
    return Verdict(
        **verdict(ones[row].encoding, twos[column].encoding, model=ones[row].model),
        faces_1=[face.box for face in ones],
        faces_2=[face.box for face in twos],
        distances=rows,
        pair=Pair(face_1=row, face_2=column),
    )


def false_accept_rate(threshold: float | None, *, model: str = analysis.DLIB) -> FalseAcceptRate:
    """The published bound of the rate at `threshold`: dlib's alone has one."""
    if model != analysis.DLIB or threshold is None:
        return FalseAcceptRate(at_most=None, measured_at_threshold=None, source=_NONE_PUBLISHED)
    for measured_at, rate in _PUBLISHED:
        if threshold <= measured_at:
            return FalseAcceptRate(
                at_most=round(rate, 6), measured_at_threshold=measured_at, source=SOURCE
            )
    return FalseAcceptRate(at_most=None, measured_at_threshold=None, source=SOURCE)


def of_uploads(
    uploads: dict[int, File[Any]], *, owner_id: int, detector: str = "", every: bool = False
) -> dict[int, list[SideFace]]:
    """The first face of each side's image, or every face.

    Nothing of an image that was only compared is kept.

    Raises `NoFace`, `AnalysisError`, or `Unavailable` when it takes too long.
    """
    hashes = {side: sha256_of(upload) for side, upload in uploads.items()}
    known = {
        side: services.up_to_date(owner_id, sha256, detector) for side, sha256 in hashes.items()
    }
    faces = {side: _of_image(image, side, every) for side, image in known.items() if image}
    new = {side: (upload, hashes[side]) for side, upload in uploads.items() if not known[side]}
    return {**faces, **_computed(new, detector or analysis.detector_of_encodings(), every)}


def of_hash(
    sha256: str, side: int, *, owner_id: int, detector: str = "", every: bool = False
) -> list[SideFace] | None:
    """The first face, or every face, of an image that the client has sent before; else None.

    Raises `NoFace`, `AnalysisError`, or `Unavailable` when it is not there yet.
    """
    image = services.find(owner_id, sha256, detector) or services.find(owner_id, sha256)
    if image is None:
        return None
    if not services.complete(image, timeout_s=settings.FACES_SYNC_RESPONSE_TIMEOUT_S):
        _give_up()
    return _of_image(image, side, every)


def _of_image(image: EncodedImage, side: int, every: bool) -> list[SideFace]:
    return _faces(image.analysis_id or 0, side, every, faces_count=image.faces_count)


def _computed(
    new: dict[int, tuple[File[Any], str]], detector: str, every: bool
) -> dict[int, list[SideFace]]:
    deadline = time.monotonic() + settings.FACES_SYNC_RESPONSE_TIMEOUT_S
    owner = analysis.one_time_owner()
    ids = analysis.request_many(list(new.values()), owner=owner, detector=detector)
    asked = dict(zip(new, ids, strict=True))
    try:
        return {side: _awaited(id, side, deadline, every) for side, id in asked.items()}
    finally:
        for id in set(asked.values()):
            analysis.withdraw(id)


def _awaited(id: int, side: int, deadline: float, every: bool) -> list[SideFace]:
    left_s = max(0.0, deadline - time.monotonic())
    found = services.wait(id, timeout_s=left_s) or _give_up()
    return _faces(id, side, every, faces_count=found.faces_count)


def _faces(analysis_id: int, side: int, every: bool, *, faces_count: int) -> list[SideFace]:
    if not faces_count:
        raise NoFace(side)
    model = analysis.model_of(analysis_id)
    if every:
        faces = analysis.faces(analysis_id)
        found = [SideFace(each.encoding, Box(**each.box), model) for each in faces]
    else:
        firsts = analysis.first_encodings([analysis_id])
        found = [SideFace(encoding, model=model) for encoding in firsts.values()]
    if not found:
        raise AnalysisError(services.ERASED, permanent=True)
    return found


def _give_up() -> NoReturn:
    raise Unavailable("The images are still being processed. Please send them again.")
