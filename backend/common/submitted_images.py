"""Images that a client has submitted, for the apps beside the submissions, by the submission's id.

No feature imports another; the setting `SUBMITTED_IMAGES` names the function that finds them.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.files.base import File
from django.utils.module_loading import import_string


@dataclass(frozen=True)
class SubmittedImage:
    """A stored image. `analysis_id` is None while its faces are not known."""

    file: File[Any]
    name: str
    """In the media storage."""
    sha256: str
    analysis_id: int | None
    detector: str = ""
    """That the upload named; empty: the service's."""
    failure: str = ""
    """Why its faces cannot be found."""


def find(owner_id: int, id: uuid.UUID) -> SubmittedImage | None:
    """The client's image; None where the client has no such submission."""
    found: SubmittedImage | None = import_string(settings.SUBMITTED_IMAGES)(owner_id, id)
    return found
