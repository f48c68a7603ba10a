"""Recognition over HTTP: whose face is this, of an image's largest face or of all?"""

from __future__ import annotations

from typing import Any, Final

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from backend.analysis.serializers import DETECTOR, FACE_EXAMPLE
from backend.clients.limits import throttling
from backend.common.http.parsers import JSONParser, MultiPartParser
from backend.common.openapi import body, in_query, response, sent
from backend.recognition import contract
from backend.recognition.operations import commands
from backend.recognition.rest import bodies
from backend.recognition.rest import serializers as shapes
from backend.recognition.rest.base import (
    CONTACT_ID,
    FILE,
    OPERATION_ID,
    TEXT,
    USER_ID,
    USERS,
    GalleryView,
    form,
    number,
)
from backend.recognition.rest.operations import FACE, command, execute

_OPTIONS: Final[dict[str, tuple[Any, str]]] = {
    "faces": (
        {"type": "string", "enum": ["largest", "all"]},
        "Answer for every face of the image, or for its largest one.",
    ),
    "min_confidence": (
        {"type": "number", "minimum": 0, "maximum": 1},
        "Contacts with less are left out; else `FACES_MIN_CONFIDENCE` decides.",
    ),
    "limit": (
        {"type": "integer", "minimum": 1, "maximum": contract.MOST_ON_REQUEST},
        "The most contacts for a face; else three.",
    ),
}
_RECOGNISED: Final = {
    "face": 0,
    "box": FACE_EXAMPLE["box"],
    "quality": FACE_EXAMPLE["quality"],
    "candidates": [
        {
            **FACE,
            "name": "Ann",
            "recognition_confidence": 0.98,
            "distance": 0.3,
            "certainty": "sure",
            "is_enrolled": False,
        }
    ],
}


class _NewImagesRate(throttling.UploadRate):
    """An image that was submitted before costs no second upload."""

    def cost(self, request: Request) -> int:
        return int(bodies.field(request, "submission") is None)


@extend_schema(tags=["Recognition"], parameters=[USER_ID])
class RecogniseView(GalleryView):
    api_path = f"{USERS}{{user_id}}/recognize/"
    parser_classes = [JSONParser, MultiPartParser]
    throttle_classes = [throttling.RequestRate, _NewImagesRate, throttling.UploadBytesRate]

    @command(
        "recognise",
        request={
            "application/json": body(
                contract.ProbeInput, {"face_url": "https://pictures.example/who.jpg"}
            ),
            "multipart/form-data": form(
                **dict.fromkeys(("face_url", "detector", *_OPTIONS, "submission", "face"), TEXT),
                image=FILE,
            ),
        },
        parameters=[
            DETECTOR,
            *(in_query(name, schema, about) for name, (schema, about) in _OPTIONS.items()),
            sent("Faces-Count", "Faces in the image, of which the answer is about one.", 200),
        ],
        done=response(
            shapes.RECOGNISED,
            "The best contacts.",
            known=[{**FACE, "recognition_confidence": 0.98, "distance": 0.3}],
            unknown=[],
            no_face=None,
            all_faces={"faces": [_RECOGNISED]},
        ),
    )
    def post(self, request: Request, user_id: str) -> HttpResponse:
        """Whose face is this, of the user's contacts?

        Also at `…/recognise/`. With an option a user that does not exist is 404. Options may be in
        the body or in the query.
        """
        options = bodies.options(request)
        image = bodies.image(request, is_submitted=options.get("submission") is not None)
        return execute(request, commands.recognise(number(user_id), image, **options))


_REJECTED: Final = body(contract.RejectionInput, {"submission": OPERATION_ID, "face": 0})


@extend_schema(tags=["Recognition"], parameters=[USER_ID, CONTACT_ID])
class RejectionsView(GalleryView):
    @command(
        "reject_candidate",
        request=_REJECTED,
        done=response(shapes.RejectionSerializer, "It is stored.", {"rejected": True}),
    )
    def post(self, request: Request, user_id: str, contact_id: str) -> HttpResponse:
        """This face of a submission is not the contact's.

        Recognitions with options leave the contact out for this face, on every copy of the image,
        until it is taken back, the face is enrolled as the contact's, or the image is erased.
        """
        return self._decided(request, (number(user_id), number(contact_id)), is_rejected=True)

    @command(
        "unreject_candidate",
        request=_REJECTED,
        done=response(shapes.RejectionSerializer, "It is taken back.", {"rejected": False}),
    )
    def delete(self, request: Request, user_id: str, contact_id: str) -> HttpResponse:
        """Take a rejection back."""
        return self._decided(request, (number(user_id), number(contact_id)), is_rejected=False)

    def _decided(
        self, request: Request, ids: tuple[int, int], *, is_rejected: bool
    ) -> HttpResponse:
        face = {name: bodies.field(request, name) for name in ("submission", "face")}
        return execute(request, commands.reject(*ids, is_rejected=is_rejected, **face))
