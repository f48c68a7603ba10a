"""Recognition of the faces of an image, as the result of an operation: numbers only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from backend.analysis.services import FoundFace
from backend.recognition.contract import MOST
from backend.recognition.gallery import cache
from backend.recognition.gallery.index import Candidate
from backend.recognition.models import Face, User
from backend.recognition.operations.preparation import ImageFinding
from backend.recognition.operations.results import Entry, Result

_SAME_FACE: Final = 1e-3
"""Encodings that near, of the same bytes, are of one face: stored as float32, compared as these."""


def recognised(user: User, image: ImageFinding, wanted: Mapping[str, Any]) -> Result:
    """The candidates for the largest or the chosen face of the image, or for all of its faces."""
    if wanted.get("faces") == "all":
        every = enumerate(image.faces)
        return {"all": [_of_all(user, image, wanted, at, face) for at, face in every]}
    if image.face is None:
        return {"faces": None, "faces_count": 0}
    entries = _candidates(user, image, image.face, wanted)
    return {"faces": entries, "faces_count": len(image.faces)}


def _of_all(
    user: User, image: ImageFinding, wanted: Mapping[str, Any], index: int, face: FoundFace
) -> Entry:
    entries = _candidates(user, image, face, wanted)
    near = [entry["id"] for entry in entries if entry["distance"] < _SAME_FACE]
    enrolled = Face.objects.filter(pk__in=near, sha256=image.sha256).values_list("pk", flat=True)
    known = set(enrolled) if near else set()
    candidates = [{**entry, "is_enrolled": entry["id"] in known} for entry in entries]
    return {"face": index, "box": face.box, "quality": face.quality, "candidates": candidates}


def _candidates(
    user: User, image: ImageFinding, face: FoundFace, wanted: Mapping[str, Any]
) -> list[Entry]:
    found = cache.identify(
        user,
        face.encoding,
        model=image.model,
        at_most=wanted.get("limit") or MOST,
        min_confidence=wanted.get("min_confidence"),
    )
    return [_entry(each) for each in found]


def _entry(found: Candidate) -> Entry:
    return {
        "id": found.face,
        "recognition_confidence": found.confidence,
        "distance": found.distance,
    }
