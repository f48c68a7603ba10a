"""Images that a client has submitted, for the apps beside the submissions, by the submission's id.

No feature imports another; the setting `SUBMITTED_IMAGES` names the module whose `submitted_image`
and `newest_analysed` find them.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any

from django.conf import settings
from django.core.files.base import File


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


@dataclass(frozen=True)
class AnalysedImage:
    """A stored image whose faces are known."""

    id: uuid.UUID
    sha256: str


def find(owner_id: int, id: uuid.UUID) -> SubmittedImage | None:
    """The client's image; None where the client has no such submission."""
    found: SubmittedImage | None = _module().submitted_image(owner_id, id)
    return found


def newest_analysed(owner_id: int, at_most: int) -> dict[int, AnalysedImage]:
    """The client's newest images whose faces are known, by their analyses: copies count once."""
    found: dict[int, AnalysedImage] = _module().newest_analysed(owner_id, at_most)
    return found


def _module() -> ModuleType:
    return import_module(settings.SUBMITTED_IMAGES)
