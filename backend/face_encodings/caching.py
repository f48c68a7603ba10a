"""HTTP caching of encodings: ETag, Cache-Control and Vary.

An encoding depends on bytes, detector and model alone: its tag is their hash. Access depends on
the key: a shared cache may store only what is readable without one.
"""

import hashlib
from typing import Final

from django.conf import settings
from django.http import JsonResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response, patch_vary_headers
from rest_framework.request import Request

from backend.clients import caller
from backend.face_encodings.models import EncodedImage

_SHAPE: Final = "2"
"""Part of every tag: change it when the body of an answer gets another shape."""


_MAX_AGE_S: Final = 300
"""Browsers and CDNs may keep an encoding so long without asking, also after its deletion."""

OTHER: Final = "The answer has another tag than If-Match asks for."


def etag(image: EncodedImage) -> str:
    """The strong validator (RFC 9110, 8.8.3) of a completed image's answer."""
    made_from = f"{_SHAPE}/{image.sha256}/{image.made_by}"
    return f'"{hashlib.sha256(made_from.encode()).hexdigest()[:32]}"'


def unchanged(request: Request, image: EncodedImage) -> HttpResponseBase | None:
    """304 if the caller has it already (or 412 if it asked for another), else None."""
    answer = get_conditional_response(request._request, etag=etag(image))
    if answer is not None and answer.status_code == 412:  # Django's own has no body, as HTML
        return JsonResponse({"detail": OTHER}, status=412)
    return answer


def mark(response: HttpResponseBase, request: Request, image: EncodedImage) -> HttpResponseBase:
    """Say how long, and by whom, the answer may be kept."""
    response["ETag"] = etag(image)
    shared = caller.from_request(request).is_anonymous and not settings.FACES_REQUIRE_API_KEY
    scope = "public" if shared else "private"
    response["Cache-Control"] = f"{scope}, max-age={_MAX_AGE_S}"
    patch_vary_headers(response, ["Authorization", "X-Api-Key"])
    return response
