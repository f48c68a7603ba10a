"""Whose are the faces of a client's own uploads? Those of known contacts, and groups of unknown.

Nothing of it is stored: it is computed from the analyses of the newest uploads, so what is deleted
is in no later answer.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Final

import numpy

from backend.analysis import services as analysis
from backend.analysis.chinese_whispers import (
    MAX_NEIGHBOURS,
    Graph,
    Label,
    singleton_label,
    weight,
)
from backend.analysis.fields import Encoding
from backend.analysis.nearest import Floats32, Matrix
from backend.common import submitted_images
from backend.recognition.gallery import cache
from backend.recognition.gallery.index import Candidate, Gallery
from backend.recognition.models import Face, Rejection, User

MOST_IMAGES: Final = 1000
"""The newest of a client's uploads; with two faces each that is a second of comparing."""

MOST_COMPARISONS: Final = 40_000_000
"""Of uploaded faces with those of the gallery in one answer: 1 s of a processor (0.023 µs each
in a gallery of 10⁵ faces). In larger ones fewer of the newest faces are compared."""

SAME_FACE: Final = 1e-3
"""Encodings that near, of the same bytes, are of one face: stored as float32, compared as these."""


@dataclass(frozen=True)
class UploadedFace:
    """A face of an upload that is good enough to recognise a person by."""

    submission: uuid.UUID
    face: int
    """Its place among the image's faces."""


@dataclass(frozen=True)
class Suggestion:
    """An uploaded face that a contact may be, which was neither confirmed nor rejected."""

    place: UploadedFace
    candidate: Candidate


@dataclass
class Sorted:
    """The faces of the newest uploads that are not enrolled."""

    suggestions: dict[int, list[Suggestion]] = field(default_factory=dict)
    """By the primary key of the best contact, the surest first."""
    unknown: list[UploadedFace] = field(default_factory=list)
    encodings: Floats32 = field(default_factory=lambda: numpy.empty((0, 128), "f4"))
    """Of the unknown faces, a row each."""
    match_distance: float | None = None
    """Of their model; None where it is not known."""


def sort_out(owner_id: int, user: User | None) -> Sorted:
    """Compare the client's uploads with the gallery of `user`, None for an empty one.

    Raises `OnAnotherModel` where the gallery cannot be compared.
    """
    images = submitted_images.newest_analysed(owner_id, MOST_IMAGES)
    model = analysis.current_model()
    found = analysis.good_faces(list(images), model)
    gallery = cache.gallery_of(user, model) if user else None
    if gallery:
        found = found.newest(MOST_COMPARISONS // max(1, len(gallery.faces)))
    hashes = {id: image.sha256 for id, image in images.items()}
    best = _best(user, gallery, found, hashes, model)
    known = analysis.thresholds(model)
    limit = known.match_distance if known else None
    sorted_out, unknown = Sorted(match_distance=limit), list[int]()
    by_contact: dict[int, list[Suggestion]] = defaultdict(list)
    for row, (pk, analysis_id, index) in enumerate(found.places):
        place, candidate = UploadedFace(images[analysis_id].id, index), best.get(pk)
        if pk not in best:
            sorted_out.unknown.append(place)
            unknown.append(row)
        elif candidate is not None:
            by_contact[candidate.contact].append(Suggestion(place, candidate))
    sorted_out.encodings = found.encodings[unknown]
    for contact, suggestions in by_contact.items():
        suggestions.sort(key=lambda each: -each.candidate.confidence)
        sorted_out.suggestions[contact] = suggestions
    return sorted_out


def groups(sorted_out: Sorted) -> list[list[UploadedFace]]:
    """The unknown faces by person, the largest group first, single faces last."""
    labels = _labels(sorted_out.encodings, sorted_out.match_distance)
    clusters: dict[Label, list[UploadedFace]] = defaultdict(list)
    for face, place in enumerate(sorted_out.unknown):
        clusters[labels[face]].append(place)
    return sorted(clusters.values(), key=len, reverse=True)


def _best(
    user: User | None,
    gallery: Gallery | None,
    found: analysis.GoodFaces,
    hashes: Mapping[int, str],
    model: str,
) -> dict[int, Candidate | None]:
    """The best contact of each face that may be one's; None for a face that is enrolled."""
    if user is None or gallery is None:
        return {}
    rejected, best = _rejected(user), dict[int, Candidate | None]()
    enrolled = _enrolled(user, hashes.values(), model)
    for (pk, analysis_id, _), encoding in zip(found.places, found.encodings, strict=True):
        of_image = enrolled.get(hashes[analysis_id], ())
        if any(numpy.linalg.norm(each - encoding) < SAME_FACE for each in of_image):
            best[pk] = None
            continue
        ruled_out: Set[int] = rejected.get(pk, frozenset())
        near = cache.identify_in(gallery, encoding, 1 + len(ruled_out))
        if left := [each for each in near if each.contact not in ruled_out]:
            best[pk] = left[0]
    return best


def _rejected(user: User) -> dict[int, set[int]]:
    """Contacts that were rejected, by the primary keys of the faces."""
    found: dict[int, set[int]] = defaultdict(set)
    rows = Rejection.objects.filter(contact__user=user)
    for face, contact in rows.values_list("face_id", "contact_id"):
        found[face].add(contact)
    return found


def _enrolled(user: User, hashes: Iterable[str], model: str) -> dict[str, list[Encoding]]:
    """The encodings of the gallery's faces of these images, by the SHA-256 of the images."""
    found: dict[str, list[Encoding]] = defaultdict(list)
    rows = Face.objects.with_encodings().filter(
        user=user, sha256__in=set(hashes), is_face=True, model=model
    )
    for sha256, encoding in rows.values_list("sha256", "encoding"):
        found[sha256].append(encoding)
    return found


def _labels(encodings: Floats32, limit: float | None) -> dict[int, Label]:
    """The cluster of each row, as members' photos are clustered; each its own without a limit."""
    rows = range(len(encodings))
    if limit is None:
        return {face: singleton_label(face) for face in rows}
    neighbours: dict[int, list[tuple[int, float]]] = defaultdict(list)
    for face, other, distance in _near(encodings, rows, limit):
        if face != other and len(neighbours[face]) < MAX_NEIGHBOURS:
            neighbours[face].append((other, weight(distance, limit)))
    graph = Graph({face: singleton_label(face) for face in rows}, neighbours)
    graph.propagate_labels(rows)
    return graph.labels


def _near(encodings: Floats32, rows: Sequence[int], limit: float) -> list[tuple[int, int, float]]:
    pairs = Matrix.of(encodings, rows).within(encodings, limit)
    return [pair for pair in pairs if pair[2] < limit]
