"""Moves a gallery to another model, without downtime and with the same ids.

The images are downloaded again and encoded by the model of this process, in this process, while
those of the old model go on answering. When every face of a user has its new encoding, or is left
behind on request, old and new encodings are swapped in one transaction. The old ones are kept until
`finish`: for processes that still run the old model, and for the way back, which is a move to the
old model that finds every encoding made. Each step is stored, so that an interrupted run can be
resumed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import BinaryIO, Final, TypedDict, cast

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from backend.analysis import services as analysis
from backend.analysis.services import AnalysisError
from backend.common import image_downloads
from backend.common.image_downloads import Download, FetchError
from backend.common.jobs.models import JobError
from backend.recognition.gallery import locking
from backend.recognition.gallery.probe import largest
from backend.recognition.models import Face, OtherEncoding, Reembedding, User

NO_URL: Final = "Its image was sent as bytes, which are not kept."
CHANGED: Final = "There is another image at its URL by now."
NO_FACE: Final = "The model finds no face in its image."

_AT_A_TIME: Final = 32
"""Images in memory or in temporary files at the same time."""

_SWAPPED: Final = 500

Progress = Callable[[int], object]
"""Called with the number of faces that were processed since the last call."""


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
    """Users with faces of another model."""
    behind = Face.objects.filter(user=OuterRef("pk"), is_face=True).exclude(model=model)
    return User.objects.filter(Exists(behind)).order_by("pk")


def progress(user: User) -> ProgressShape:
    """The progress of the move that was begun last, else of one to the model of this process."""
    row = Reembedding.objects.filter(user=user).order_by("-created_at").first()
    if row is None or row.switched_at:
        row = Reembedding.objects.filter(user=user, model=current_model()).first()
    model = row.model if row else current_model()
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
    """The number of faces without an encoding by the model of this process."""
    return _missing(user, current_model()).count()


def embed(user: User, *, on_progress: Progress) -> Reembedding:
    """Encode the faces that have no encoding by this model yet, if their images are available."""
    model = current_model()
    row, _ = Reembedding.objects.get_or_create(user=user, model=model)
    row.unobtainable = {}
    ids = list(_missing(user, model).order_by("pk").values_list("pk", flat=True))
    for start in range(0, len(ids), _AT_A_TIME):
        faces = list(Face.objects.filter(pk__in=ids[start : start + _AT_A_TIME]))
        row.unobtainable |= _embed(faces, model, owner_id=user.owner_id)
        row.save(update_fields=["unobtainable"])
        on_progress(len(faces))
    return row


def switch(user: User, *, leave_behind: bool = False) -> bool:
    """Swap old and new encodings; False if faces lack a new one.

    With `leave_behind` such faces stay in the gallery and are not matched.
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
    """Delete the old encodings: no process runs the old model any more. Returns their number."""
    return OtherEncoding.objects.filter(is_active=True).delete()[0]


def _missing(user: User, model: str) -> QuerySet[Face]:
    made = OtherEncoding.objects.filter(face=OuterRef("pk"), model=model)
    return Face.objects.filter(~Exists(made), user=user, is_face=True).exclude(model=model)


def _embed(faces: Sequence[Face], model: str, *, owner_id: int) -> dict[str, str]:
    """Store the new encodings; returns the reasons of faces without one, by their ids."""
    reasons = {str(face.pk): NO_URL for face in faces if not face.face_url}
    rows = []
    with_url = [face for face in faces if face.face_url]
    outcomes = image_downloads.client().fetch_many([face.face_url for face in with_url])
    for face, outcome in zip(with_url, outcomes, strict=True):
        try:
            encoding = _encoding(face, outcome, model, owner_id=owner_id)
            rows.append(OtherEncoding(face_id=face.pk, model=model, encoding=encoding))
        except JobError as error:
            reasons[str(face.pk)] = str(error)
    _store(rows)
    return reasons


def _encoding(
    face: Face, image: Download | FetchError, model: str, *, owner_id: int
) -> list[float]:
    """The encoding of the face that was taken when it was added. Raises `JobError`.

    Computed here, because workers of the old model have no other.
    """
    if isinstance(image, FetchError):
        raise AnalysisError(image.message, permanent=True)
    with image:
        if face.sha256 not in ("", image.sha256):
            # It may show another person, who would get this contact's name.
            raise AnalysisError(CHANGED, permanent=True)
        owner, file = analysis.client_owner(owner_id), cast(BinaryIO, image.file)
        done = analysis.analyse(file, owner=owner, sha256=image.sha256, model=model)
        try:
            found = largest(analysis.corrected_faces(done.analysis_id))
        finally:
            analysis.withdraw(done.analysis_id)
    if found is None:
        raise AnalysisError(NO_FACE, permanent=True)
    return found.encoding


def _store(rows: Sequence[OtherEncoding]) -> None:
    with transaction.atomic():
        # Of faces that still exist: an encoding must not outlive its face.
        pks = [row.face_id for row in rows]
        left = set(Face.objects.select_for_update().filter(pk__in=pks).values_list("pk", flat=True))
        kept = [row for row in rows if row.face_id in left]
        OtherEncoding.objects.bulk_create(kept, ignore_conflicts=True)


def _swap(ids: Sequence[int]) -> None:
    """Swap the encodings of these rows with those of their faces."""
    others = list(OtherEncoding.objects.filter(pk__in=ids))
    faces = Face.objects.with_encodings().in_bulk([other.face_id for other in others])
    for other in others:
        face = faces[other.face_id]
        face.encoding, other.encoding = other.encoding, face.encoding
        face.model, other.model = other.model, face.model
        other.is_active = True
    Face.objects.bulk_update(faces.values(), ["encoding", "model"])
    OtherEncoding.objects.bulk_update(others, ["encoding", "model", "is_active"])
