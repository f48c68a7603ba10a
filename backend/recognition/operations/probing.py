"""Recognition of the faces of an image, as the result of an operation: numbers only."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any

from backend.analysis.services import FoundFace
from backend.recognition.contract import MOST
from backend.recognition.gallery import cache
from backend.recognition.gallery.index import Candidate
from backend.recognition.gallery.uploads import SAME_FACE
from backend.recognition.models import Face, User
from backend.recognition.operations import rejections
from backend.recognition.operations.preparation import ImageFinding
from backend.recognition.operations.results import Entry, Result
from wire.events import HIDDEN


def recognised(user: User, image: ImageFinding, wanted: Mapping[str, Any] | None) -> Result:
    """The candidates for the largest or the chosen face of the image, or for all of its faces.

    `wanted` are the options; None for the contract's call, which knows no rejections.
    """
    rejected = {} if wanted is None else rejections.of_image(user, image)
    probing = _Probing(user, image, wanted or {}, rejected)
    if (wanted or {}).get("faces") == "all":
        shown = [(at, face) for at, face in enumerate(image.faces) if face.by_hand != HIDDEN]
        return {"all": [probing.of_all(at, face) for at, face in shown]}
    if image.face is None:
        return {"faces": None, "faces_count": 0}
    entries = probing.candidates(list(image.faces).index(image.face), image.face)
    return {"faces": entries, "faces_count": sum(face.by_hand != HIDDEN for face in image.faces)}


@dataclass(frozen=True)
class _Probing:
    user: User
    image: ImageFinding
    wanted: Mapping[str, Any]
    rejected: Mapping[int, Set[int]]
    """Contacts, by the places of faces."""

    def of_all(self, index: int, face: FoundFace) -> Entry:
        entries = self.candidates(index, face)
        near = [entry["id"] for entry in entries if entry["distance"] < SAME_FACE]
        same = Face.objects.filter(pk__in=near, sha256=self.image.sha256)
        known = set(same.values_list("pk", flat=True)) if near else set()
        candidates = [{**entry, "is_enrolled": entry["id"] in known} for entry in entries]
        return {"face": index, "box": face.box, "quality": face.quality, "candidates": candidates}

    def candidates(self, index: int, face: FoundFace) -> list[Entry]:
        if not face.is_usable:
            return []
        rejected = self.rejected.get(index, frozenset())
        at_most = self.wanted.get("limit") or MOST
        found = cache.identify(
            self.user,
            face.encoding,
            model=self.image.model,
            at_most=at_most + len(rejected),
            min_confidence=self.wanted.get("min_confidence"),
        )
        return [_entry(each) for each in found if each.contact not in rejected][:at_most]


def _entry(found: Candidate) -> Entry:
    return {
        "id": found.face,
        "recognition_confidence": found.confidence,
        "distance": found.distance,
    }
