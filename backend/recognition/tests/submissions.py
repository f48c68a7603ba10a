"""Submissions whose faces are known, for tests: no engine runs."""

import hashlib
import io
import uuid
from itertools import count
from typing import Any, Final

from django.core.files.base import ContentFile
from django.utils import timezone
from PIL import Image, ImageDraw

import faceengine
from backend.analysis.detectors import default_detector
from backend.analysis.models import Analysis, Face
from backend.analysis.services import client_owner
from backend.clients.models import ANONYMOUS_ID
from backend.common.jobs.models import Status
from backend.recognition.tests.factories import Encodings
from backend.submissions.models import Submission

SIDE: Final = 100

_colours = count(1)


def picture(faces: int) -> bytes:
    """Squares beside each other, one for each face, which nothing in them tells apart."""
    picture = Image.new("RGB", (SIDE * max(1, faces), SIDE), (next(_colours) % 256, 9, 9))
    draw = ImageDraw.Draw(picture)
    for number in range(faces):
        draw.ellipse([number * SIDE + 20, 20, number * SIDE + 80, 80], (0, 200, 60 * number % 256))
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def done(*encodings: Encodings, owner_id: int = ANONYMOUS_ID) -> Submission:
    """A processed submission with these faces, in their order."""
    data = picture(len(encodings))
    sha256 = hashlib.sha256(data).hexdigest()
    ended: dict[str, Any] = {"status": Status.DONE, "processed_at": timezone.now()}
    analysis = Analysis.objects.create(
        owner=client_owner(owner_id),
        sha256=sha256,
        detector=default_detector(),
        detection_pixels=2073600,
        model=faceengine.MODEL,
        faces_count=len(encodings),
        **ended,
    )
    for index, encoding in enumerate(encodings):
        _face(analysis, index, encoding)
    return _stored(data, sha256, owner_id, analysis=analysis, faces_count=len(encodings), **ended)


def copy_of(submission: Submission) -> Submission:
    """Another submission of the same bytes."""
    copy = Submission.objects.get(pk=submission.pk)
    copy.pk, copy._state.adding = uuid.uuid4(), True
    copy.image.name = f"{copy.image.name}.copy"
    copy.save()
    return copy


def queued(data: bytes, *, owner_id: int = ANONYMOUS_ID) -> Submission:
    return _stored(data, hashlib.sha256(data).hexdigest(), owner_id)


def failed(*, owner_id: int = ANONYMOUS_ID) -> Submission:
    ended = {"status": Status.FAILED, "processed_at": timezone.now(), "reason": "It is broken."}
    return _stored(b"x", hashlib.sha256(b"x").hexdigest(), owner_id, **ended)


def _stored(data: bytes, sha256: str, owner_id: int, **values: Any) -> Submission:
    submission = Submission(owner_id=owner_id, sha256=sha256, size_bytes=len(data), **values)
    submission.image.save("a.png", ContentFile(data), save=False)
    submission.save()
    return submission


def _face(analysis: Analysis, index: int, encoding: Encodings) -> None:
    Face.objects.create(
        analysis=analysis,
        index=index,
        top=20,
        right=index * SIDE + 80,
        bottom=80,
        left=index * SIDE + 20,
        encoding=encoding,
        score=1.0,
        size_px=60 + index,
        sharpness=1.0,
        yaw=0.0,
        roll=0.0,
    )
