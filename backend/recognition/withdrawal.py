"""Enrolled faces that turn out to be none: a client hid the box of its image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy

from backend.recognition.gallery.uploads import SAME_FACE
from backend.recognition.models import Face
from backend.recognition.operations import commands, service

_NO_WAIT_S: Final = 0.0


def face_hidden(owner_id: int, sha256: str, encoding: Sequence[float]) -> None:
    """Delete the face of these bytes from the client's galleries, by an operation of each.

    Raises `quota.TooManyWaiting` as any command.
    """
    hidden = numpy.asarray(encoding, "f4")
    enrolled = Face.objects.with_encodings().filter(user__owner_id=owner_id, sha256=sha256)
    for face in enrolled.filter(is_face=True).select_related("contact", "user"):
        is_comparable = face.encoding.shape == hidden.shape
        if is_comparable and numpy.linalg.norm(face.encoding - hidden) < SAME_FACE:
            faces = [{"face_id": face.face_id}]
            command = commands.delete(face.user.user_id, face.contact.contact_id, faces)
            service.begin(command, owner_id=owner_id, timeout_s=_NO_WAIT_S)
