"""Search over all users of the caller."""

from __future__ import annotations

from typing import Any, Final

from django.core.files.base import File
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from backend.analysis.serializers import DETECTOR, check_encoding, requested_detector
from backend.analysis.services import AnalysisError, current_model
from backend.clients.limits import throttling
from backend.common.http.parsers import JSONParser, MultiPartParser
from backend.common.openapi import bad_request, body, errors, response
from backend.recognition.contract import InvalidInput
from backend.recognition.gallery import probe as probes
from backend.recognition.gallery import search
from backend.recognition.models import Face
from backend.recognition.operations import results
from backend.recognition.rest import bodies
from backend.recognition.rest import serializers as shapes
from backend.recognition.rest.base import (
    FILE,
    NO_STORE,
    TEXT,
    GalleryView,
    Unprocessable,
    detail,
    form,
    values,
)

_NO_IMAGE: Final = {"image": ["Send an image, or an encoding."]}
_OTHER_MODEL: Final = "An encoding of {} cannot be compared with galleries of {}."


@extend_schema(tags=["Recognition"])
class SearchView(GalleryView):
    parser_classes = [JSONParser, MultiPartParser]
    throttle_classes = [throttling.RequestRate, throttling.UploadRate, throttling.UploadBytesRate]

    @extend_schema(
        operation_id="search",
        parameters=[DETECTOR],
        request={
            "application/json": body(shapes.SearchBody, {"image": "/9j/4AAQ…", "limit": 3}),
            "multipart/form-data": form("image", image=FILE, limit=TEXT, detector=TEXT),
        },
        responses={
            200: response(
                shapes.MATCHES,
                "The best matches; null: there is no face in the image.",
                {"matches": []},
            ),
            400: bad_request("Something of it cannot be used.", _NO_IMAGE),
            422: detail("Not an image.", "The file is not an image."),
            **errors(413, 415),
        },
    )
    def post(self, request: Request) -> Response:
        """Whose face is this, of all contacts of all users?"""
        given = values(shapes.SearchInput(data=request.data))
        probe = _probe(request, given.get("encoding"), given.get("model", ""))
        if probe is None:
            return Response({"matches": None}, headers=NO_STORE)
        found = search.best(
            self.owner_id, probe.encoding, model=probe.model, at_most=given["limit"]
        )
        return Response({"matches": _matches(found)}, headers=NO_STORE)


def _probe(request: Request, encoding: list[float] | None, model: str) -> probes.Probe | None:
    """None if there is no face in the image."""
    if encoding is not None:
        check_encoding(encoding, model, field="encoding")
        probe = probes.from_encoding(encoding, model)
        if not probe.is_of_the_service:
            raise InvalidInput({"encoding": [_OTHER_MODEL.format(probe.model, current_model())]})
        return probe
    image = bodies.image(request) if bodies.field(request, "image") is not None else None
    if image is None:
        raise InvalidInput(_NO_IMAGE)
    if not isinstance(image, bytes | File):
        raise InvalidInput({"image": ["Send one file."]})
    try:
        return probes.from_image(image, detector=requested_detector(request))
    except AnalysisError as error:
        raise Unprocessable(str(error)) from error


def _matches(found: list[search.Match]) -> list[dict[str, Any]]:
    ids = [match.face for match in found]
    rows = Face.objects.select_related("contact", "user").in_bulk(ids)
    return [
        {
            **results.structure(face),
            "name": face.contact.name,
            "recognition_confidence": match.confidence,
            "distance": match.distance,
        }
        for match in found
        if (face := rows.get(match.face)) is not None
    ]
