"""Rows of photos and references with encodings of one's choice; no engine, no files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from uuid import uuid4

import numpy
from numpy.typing import ArrayLike

from backend.analysis.nearest import Floats32
from backend.photos.extraction.results import FaceResult, record
from backend.photos.matching import jobs
from backend.photos.models import Album, Match, Matching, Member, Photo, PhotoFace, Reference

FAR = 0.35
"""Two encodings so far from a centre are 0.495 apart on average: some match, and some do not."""


@cache
def centre(person: int) -> Floats32:
    """The centre of a person's encodings: 0.8 from others, as dlib's are."""
    return numpy.random.default_rng(person).normal(0, 0.05, 128).astype("f4")


def encoding(person: int, number: int = 0, *, far: float = 0.15) -> Floats32:
    """One of a person's encodings, at that distance from their centre."""
    aside = numpy.random.default_rng([person, number + 1]).normal(0, 1, 128)
    return (centre(person) + aside * far / numpy.linalg.norm(aside)).astype("f4")


def photo(album: Album, *encodings: ArrayLike, name: str = "") -> Photo:
    """With these faces recorded, and not matched yet."""
    made = Photo.objects.create(album=album, sha256=uuid4().hex, name=name, file="some.jpg")
    assert record(made, [FaceResult(each) for each in encodings], extractor="a test")
    return made


def reference(member: Member, encoding: ArrayLike) -> Reference:
    """As `photo`."""
    made = Reference.objects.create(member=member, sha256=uuid4().hex, file="some.jpg")
    assert record(made, [FaceResult(encoding)], extractor="a test")
    return made


def match_all() -> None:
    """What workers would do."""
    for id in Matching.objects.order_by("pk").values_list("pk", flat=True):
        jobs.run(str(id))


def pairs() -> list[tuple[int, int]]:
    """What is stored: reference and face, once for each row."""
    return sorted(Match.objects.values_list("reference_id", "face_id"))


def near_pairs(below: float = 0.49) -> list[tuple[int, int]]:
    """What should be: each reference compared with each face, in float64."""
    references = Reference.objects.with_encodings().filter(encoding__isnull=False)
    faces = PhotoFace.objects.with_encodings().order_by("pk")
    return sorted(
        (reference.pk, face.pk)
        for reference in references
        for face in faces
        if _distance(reference.encoding, face.encoding) < below
    )


def names(photos: Iterable[Photo]) -> Sequence[str]:
    return [photo.name for photo in photos]


def _distance(one: ArrayLike, other: ArrayLike) -> float:
    difference = numpy.asarray(one, numpy.float64) - numpy.asarray(other, numpy.float64)
    return float(numpy.linalg.norm(difference))
