"""Faces cut out of photos and references, for pages that ask about them."""

from __future__ import annotations

from typing import BinaryIO, Final, cast

from django.http import Http404, HttpRequest, HttpResponse

from backend.analysis import services as analysis
from backend.photos.models import Photo, Reference
from backend.photos.web.base import finished
from wire.events import BoxShape

_CROP_PX: Final = 160


def cut(request: HttpRequest, source: Photo | Reference, box: BoxShape) -> HttpResponse:
    """The part of the picture round `box`, 160 × 160 pixels; 404 where there is no picture."""
    if not source.file:
        raise Http404
    try:
        with source.file.open("rb") as file:
            jpeg = analysis.crop(cast(BinaryIO, file), box, _CROP_PX)
    except (FileNotFoundError, analysis.AnalysisError):
        raise Http404 from None
    return finished(request, HttpResponse(jpeg, content_type="image/jpeg"))
