"""A gallery under a new model, without downtime and without losing ids.

The images are fetched again and encoded by the model of this process, while processes of the old
one go on answering. Only when every face of a user has its new encoding, or is told to be left
behind, all of them change places with the old ones in one transaction; the old ones are kept for
processes that still run the old model, until `finish`. Each step is stored, so that whatever is
interrupted goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Final, TypedDict

from django.conf import settings
from django.core.files.base import File
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from backend.analysis import services as analysis
from backend.analysis.services import AnalysisError
from backend.common import image_downloads
from backend.common.image_downloads import Download, FetchError
from backend.recognition.gallery import locking
from backend.recognition.models import Face, OtherEncoding, Reembedding, User

NO_URL: Final = "Its image was sent as bytes, which are not kept."
CHANGED: Final = "There is another image at its URL by now."
NO_FACE: Final = "The model finds no face in its image."
TOO_SLOW: Final = "Its image took too long to analyse."

_AT_A_TIME: Final = 32
"""Images that are held at once, in memory or in temporary files."""

_SWAPPED: Final = 500

Progress = Callable[[int], object]
"""Told of each so many faces more that are done."""


class FaceShape(TypedDict):
    id: int
    reason: str


class ProgressShape(TypedDict):
    """How far a user's gallery is on its way to `model`."""

    model: str
    faces: int
    done: int
    unobtainable: list[FaceShape]
    switched_at: str | None


def current_model() -> str:
    """The model of this process."""
    return analysis.current_model()


def users_behind(model: str) -> QuerySet[User]:
    """Those with faces of another model."""
    behind = Face.objects.filter(user=OuterRef("pk"), is_face=True).exclude(model=model)
    return User.objects.filter(Exists(behind)).order_by("pk")


def progress(user: User) -> ProgressShape:
    """Of the move to the model of this process; also where none was begun."""
    model = current_model()
    row = Reembedding.objects.filter(user=user, model=model).first()
    faces = Face.objects.filter(user=user, is_face=True)
    total, missing = faces.count(), _missing(user, model).count()
    gone = row.unobtainable if row else {}
    switched_at = row.switched_at.isoformat() if row and row.switched_at else None
    return ProgressShape(
        model=model,
        faces=total,
        done=total - missing,
        unobtainable=[FaceShape(id=int(id), reason=reason) for id, reason in gone.items()],
        switched_at=switched_at,
    )


def missing(user: User) -> int:
    """How many faces have no encoding by the model of this process."""
    return _missing(user, current_model()).count()


def embed(user: User, *, told: Progress) -> Reembedding:
    """Encode all faces of the user that are not yet, as far as their images can be had."""
    model = current_model()
    row, _ = Reembedding.objects.get_or_create(user=user, model=model)
    row.unobtainable = {}
    ids = list(_missing(user, model).order_by("pk").values_list("pk", flat=True))
    for start in range(0, len(ids), _AT_A_TIME):
        faces = list(Face.objects.filter(pk__in=ids[start : start + _AT_A_TIME]))
        row.unobtainable |= _embed(faces, model, owner_id=user.owner_id)
        row.save(update_fields=["unobtainable"])
        told(len(faces))
    return row


def switch(user: User, *, leave_behind: bool = False) -> bool:
    """Match by the new encodings from now on; False while faces lack theirs.

    With `leave_behind` these stay in the gallery and are matched with nothing.
    """
    model = current_model()
    with transaction.atomic():
        locking.lock(user.pk)
        if not leave_behind and _missing(user, model).exists():
            return False
        rows = OtherEncoding.objects.filter(face__user=user, model=model, face__is_face=True)
        ids = list(rows.exclude(face__model=model).values_list("pk", flat=True))
        for start in range(0, len(ids), _SWAPPED):
            _swap(ids[start : start + _SWAPPED])
        Reembedding.objects.update_or_create(
            user=user, model=model, defaults={"switched_at": timezone.now()}
        )
        locking.bump_version(locking.lock(user.pk))
    return True


def finish() -> int:
    """Delete the old encodings: no process runs the old model any more. How many there were."""
    return OtherEncoding.objects.filter(is_active=True).delete()[0]


def _missing(user: User, model: str) -> QuerySet[Face]:
    made = OtherEncoding.objects.filter(face=OuterRef("pk"), model=model)
    return Face.objects.filter(~Exists(made), user=user, is_face=True).exclude(model=model)


def _embed(faces: Sequence[Face], model: str, *, owner_id: int) -> dict[str, str]:
    """Store the new encodings; returns why there is none, by the ids of faces."""
    reasons = {str(face.pk): NO_URL for face in faces if not face.face_url}
    there = [face for face in faces if face.face_url]
    outcomes = image_downloads.client().fetch_many([face.face_url for face in there])
    with ExitStack() as downloads:
        good: list[tuple[Face, Download]] = []
        for face, outcome in zip(there, outcomes, strict=True):
            if isinstance(outcome, Download):
                downloads.enter_context(outcome)
            reason = _refusal(face, outcome)
            if reason:
                reasons[str(face.pk)] = reason
            elif isinstance(outcome, Download):
                good.append((face, outcome))
        images = [(File(each.file), each.sha256) for _, each in good]
        asked = analysis.request_many(images, owner=analysis.client_owner(owner_id))
    try:
        analysis.compute_many([str(id) for id in asked])
        return reasons | _store([face for face, _ in good], asked, model)
    finally:
        for id in dict.fromkeys(asked):
            analysis.withdraw(id)


def _refusal(face: Face, outcome: Download | FetchError) -> str:
    if isinstance(outcome, FetchError):
        return outcome.message
    # Somebody else may be on it by now, and would get this contact's name.
    return CHANGED if face.sha256 and outcome.sha256 != face.sha256 else ""


def _store(faces: Sequence[Face], asked: Sequence[int], model: str) -> dict[str, str]:
    reasons, rows = dict[str, str](), []
    for face, id in zip(faces, asked, strict=True):
        try:
            done = analysis.wait(id, timeout_s=settings.FACES_JOB_TIMEOUT_S)
        except AnalysisError as error:
            reasons[str(face.pk)] = str(error)
            continue
        found = analysis.faces(id) if done else []
        if not found:
            reasons[str(face.pk)] = NO_FACE if done else TOO_SLOW
            continue
        # The one that was taken when the face was added.
        best = max(found, key=lambda each: (each.quality["size_px"], each.quality["score"]))
        rows.append(OtherEncoding(face=face, model=model, encoding=best.encoding))
    with transaction.atomic():
        # A face that was deleted meanwhile must not come back as an encoding.
        pks = [row.face_id for row in rows]
        left = set(Face.objects.select_for_update().filter(pk__in=pks).values_list("pk", flat=True))
        some = [row for row in rows if row.face_id in left]
        OtherEncoding.objects.bulk_create(some, ignore_conflicts=True)
    return reasons


def _swap(ids: Sequence[int]) -> None:
    """The encodings of these rows and of their faces' change places."""
    others = list(OtherEncoding.objects.filter(pk__in=ids))
    faces = Face.objects.with_encodings().in_bulk([other.face_id for other in others])
    for other in others:
        face = faces[other.face_id]
        face.encoding, other.encoding = other.encoding, face.encoding
        face.model, other.model = other.model, face.model
        other.is_active = True
    Face.objects.bulk_update(faces.values(), ["encoding", "model"])
    OtherEncoding.objects.bulk_update(others, ["encoding", "model", "is_active"])
