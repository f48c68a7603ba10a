"""What a webhook gets when a contact was recognised: in an operation, or in an upload."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

from backend.analysis import services as analysis
from backend.common import submitted_images
from backend.common.jobs.models import Status
from backend.recognition.contract import FaceShape, RecognisedFacesShape
from backend.recognition.gallery import confidence
from backend.recognition.operations import probing, results, service
from backend.recognition.operations.preparation import ImageFinding

Data = dict[str, Any]


def webhook_data(subject: str, id: uuid.UUID, *, owner_id: int, user_id: int | None) -> Data | None:
    """The faces whose contact is known, each with its best candidate; None if there are none.

    They are compared when this is called, with the gallery as it is then.
    """
    if subject == "operation":
        return _of_operation(id, owner_id)
    return None if user_id is None else _of_submission(id, owner_id, user_id)


def _of_operation(id: uuid.UUID, owner_id: int) -> Data | None:
    operation = service.find_operation(owner_id, id)
    if operation is None or operation.status != Status.DONE:
        return None
    found = service.recognition(operation)
    if isinstance(found, dict):
        known = _known(found)
    else:
        # Candidates of one face: the best is the first.
        known = [_person(best, face=None, box=None) for best in (found or [])[:1]]
    return _data(known, operation.user.user_id, submission_id=None, operation_id=str(id))


def _of_submission(id: uuid.UUID, owner_id: int, user_id: int) -> Data | None:
    user, image = service.find_user(owner_id, user_id), submitted_images.find(owner_id, id)
    if user is None or not user.exists or image is None or image.analysis_id is None:
        return None
    finished = analysis.finished([image.analysis_id]).get(image.analysis_id)
    if finished is None:
        return None
    finding = ImageFinding(
        image.sha256,
        faces=analysis.corrected_faces(image.analysis_id),
        model=finished.model,
        analysis_id=image.analysis_id,
    )
    result = probing.recognised(user, finding, {"faces": "all", "limit": 1})
    known = _known(results.recognised_faces(result))
    return _data(known, user_id, submission_id=str(id), operation_id=None)


def _known(found: RecognisedFacesShape) -> list[Data]:
    return [
        _person(face["candidates"][0], face=face["face"], box=dict(face["box"]))
        for face in found["faces"]
        if face["candidates"]
    ]


def _person(best: FaceShape, *, face: int | None, box: Data | None) -> Data:
    sure = best["recognition_confidence"]
    return {
        "face": face,
        "box": box,
        "contact_id": best["contact_id"],
        "name": best["name"],
        "recognition_confidence": sure,
        "certainty": confidence.in_a_word(sure),
    }


def _data(known: Iterable[Data], user_id: int, **source: str | None) -> Data | None:
    people = list(known)
    return {**source, "user_id": user_id, "faces": people} if people else None
