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
from typing import Any, Final, NoReturn, TypedDict

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


class FalseAcceptRate(TypedDict):
    """How often two different people are accepted as one; `at_most` is None if unknown."""

    at_most: float | None
    measured_at_threshold: float | None
    source: str


class Verdict(TypedDict):
    distance: float
    same_person: bool
    threshold: float
    false_accept_rate: FalseAcceptRate


class NoFace(Exception):
    """The image of the side (1 or 2) shows no face."""

    def __init__(self, side: int) -> None:
        super().__init__(f"side {side}")
        self.side = side


def verdict(a: Encoding, b: Encoding) -> Verdict:
    """Compare two encodings by their Euclidean distance, as `face_recognition` does."""
    distance, threshold = math.dist(a, b), settings.FACES_VERIFY_THRESHOLD
    return Verdict(
        distance=distance,
        same_person=distance <= threshold,
        threshold=threshold,
        false_accept_rate=false_accept_rate(threshold),
    )


def false_accept_rate(threshold: float) -> FalseAcceptRate:
    """The published bound of the rate at `threshold`."""
    for measured_at, rate in _PUBLISHED:
        if threshold <= measured_at:
            return FalseAcceptRate(
                at_most=round(rate, 6), measured_at_threshold=measured_at, source=SOURCE
            )
    return FalseAcceptRate(at_most=None, measured_at_threshold=None, source=SOURCE)


def of_uploads(
    uploads: dict[int, File[Any]], *, owner_id: int, detector: str = ""
) -> dict[int, Encoding]:
    """The first encoding of each side's image. Nothing of an image that was only compared is kept.

    Raises `NoFace`, `AnalysisError`, or `Unavailable` when it takes too long.
    """
    hashes = {side: sha256_of(upload) for side, upload in uploads.items()}
    known = {
        side: services.up_to_date(owner_id, sha256, detector) for side, sha256 in hashes.items()
    }
    encodings = {side: _of_image(image, side) for side, image in known.items() if image}
    new = {side: (upload, hashes[side]) for side, upload in uploads.items() if not known[side]}
    return {**encodings, **_computed(new, detector or analysis.detector_of_encodings())}


def of_hash(sha256: str, side: int, *, owner_id: int, detector: str = "") -> Encoding | None:
    """The first encoding of an image that the client has sent before; None if it has not.

    Raises `NoFace`, `AnalysisError`, or `Unavailable` when it is not there yet.
    """
    image = services.find(owner_id, sha256, detector) or services.find(owner_id, sha256)
    if image is None:
        return None
    if not services.complete(image, timeout_s=settings.FACES_SYNC_RESPONSE_TIMEOUT_S):
        _give_up()
    return _of_image(image, side)


def _of_image(image: EncodedImage, side: int) -> Encoding:
    return _first(image.analysis_id or 0, side, faces_count=image.faces_count)


def _computed(new: dict[int, tuple[File[Any], str]], detector: str) -> dict[int, Encoding]:
    deadline = time.monotonic() + settings.FACES_SYNC_RESPONSE_TIMEOUT_S
    owner = analysis.one_time_owner()
    ids = analysis.request_many(list(new.values()), owner=owner, detector=detector)
    asked = dict(zip(new, ids, strict=True))
    try:
        return {side: _awaited(id, side, deadline) for side, id in asked.items()}
    finally:
        for id in set(asked.values()):
            analysis.withdraw(id)


def _awaited(id: int, side: int, deadline: float) -> Encoding:
    left_s = max(0.0, deadline - time.monotonic())
    found = services.wait(id, timeout_s=left_s) or _give_up()
    return _first(id, side, faces_count=found.faces_count)


def _first(analysis_id: int, side: int, *, faces_count: int) -> Encoding:
    if not faces_count:
        raise NoFace(side)
    found = analysis.first_encodings([analysis_id])
    if not found:
        raise AnalysisError(services.ERASED, permanent=True)
    return found[analysis_id]


def _give_up() -> NoReturn:
    raise Unavailable("The images are still being processed. Please send them again.")
