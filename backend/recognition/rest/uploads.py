"""The faces of the caller's own uploads: groups of unknown ones, and whose the others may be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.conf import settings
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from backend.clients.limits import throttling
from backend.common.http.parsers import JSONParser
from backend.common.http.service_url import service_url
from backend.common.openapi import body, errors, response
from backend.recognition import contract
from backend.recognition.gallery import confidence, uploads
from backend.recognition.models import Contact, FaceCrop, User
from backend.recognition.operations import commands, results
from backend.recognition.rest import bodies
from backend.recognition.rest import serializers as shapes
from backend.recognition.rest.base import (
    CONTACT_ID,
    INCOMPARABLE,
    OPERATION_ID,
    PENDING,
    USER_ID,
    GalleryView,
    comparable,
    number,
)
from backend.recognition.rest.operations import FACE, command, execute

OFF: Final = "Grouping unknown faces is switched off (FACES_GROUP_UNKNOWN)."

FACES: Final = 24
"""Of a group: as many as are looked at in one go. The others follow once these have a name."""

_GROUPS: Final = 50

UPLOADED_FACE: Final = {
    "submission": OPERATION_ID,
    "face": 0,
    "crop_url": f"http://localhost:8282/image/{OPERATION_ID}/faces/0/crop.jpg",
}
_SUGGESTED: Final = {
    "contacts": [
        {
            "contact_id": 7,
            "name": "Ann",
            "faces_count": 1,
            "faces": [
                {
                    **UPLOADED_FACE,
                    "recognition_confidence": 0.98,
                    "distance": 0.3,
                    "certainty": "sure",
                    "near_crop_url": None,
                }
            ],
        }
    ]
}
_DECIDED: Final = {
    "added": [FACE],
    "deleted": [],
    "not_found": [],
    "error": [],
    "rejected": 0,
    "operation_id": OPERATION_ID,
}
_FOUND: Final = {"groups_count": 1, "groups": [{"faces_count": 1, "faces": [UPLOADED_FACE]}]}


def uploaded(face: uploads.UploadedFace) -> dict[str, Any]:
    """A face of an upload, as answers have it."""
    path = f"image/{face.submission}/faces/{face.face}/crop.jpg"
    return {
        "submission": str(face.submission),
        "face": face.face,
        "crop_url": f"{service_url()}/{path}",
    }


@extend_schema(tags=["Recognition"], parameters=[USER_ID])
class UnknownFacesView(GalleryView):
    throttle_classes = [throttling.RequestRate]

    @extend_schema(
        operation_id="unknown_faces",
        parameters=[PENDING],
        responses={
            200: response(shapes.UNKNOWN_FACES, "The largest group first.", _FOUND),
            422: INCOMPARABLE,
            **errors(404),
        },
    )
    def get(self, request: Request, user_id: str) -> Response:
        """Faces of the caller's newest 1000 uploads that show no contact of the user, by person.

        With `FACES_GROUP_UNKNOWN` alone; else 404. The first 24 faces of 50 groups. Nothing
        of it is stored. Of a user that does not exist all faces are unknown.
        """
        if not settings.FACES_GROUP_UNKNOWN:
            raise NotFound(OFF)
        user = self.user_or_none(user_id)
        with comparable():
            found = uploads.groups(uploads.sort_out(self.owner_id, user))
        groups = [
            {"faces_count": len(group), "faces": [uploaded(each) for each in group[:FACES]]}
            for group in found[:_GROUPS]
        ]
        return self.answer({"groups_count": len(found), "groups": groups})


@extend_schema(tags=["Recognition"], parameters=[USER_ID])
class SuggestionsView(GalleryView):
    throttle_classes = [throttling.RequestRate]

    @extend_schema(
        operation_id="suggestions",
        parameters=[PENDING],
        responses={
            200: response(shapes.SUGGESTIONS, "Those with most faces first.", _SUGGESTED),
            422: INCOMPARABLE,
            **errors(404),
        },
    )
    def get(self, request: Request, user_id: str) -> Response:
        """Faces of the caller's newest 1000 uploads that may be a contact's, by contact.

        The surest first, at most 24 a contact; without those that were enrolled or rejected. Of a
        user that does not exist there are none.
        """
        user = self.user_or_none(user_id)
        if user is None:
            return self.answer({"contacts": []})
        with comparable():
            found = uploads.sort_out(self.owner_id, user).suggestions
        return self.answer({"contacts": _suggested(user, found)})


@extend_schema(tags=["Recognition"], parameters=[USER_ID, CONTACT_ID])
class DecisionsView(GalleryView):
    parser_classes = [JSONParser]

    @command(
        "decide",
        request=body(
            contract.DecisionsInput,
            {"yes": [{"submission": OPERATION_ID, "face": 0}], "no": []},
        ),
        done=response(shapes.DECIDED, "What changed.", _DECIDED),
    )
    def post(self, request: Request, user_id: str, contact_id: str) -> HttpResponse:
        """These faces are the contact's, those are not.

        At most 100, as one operation: `POST …/operations/ID/undo/` takes all of it back.
        """
        yes, no = bodies.field(request, "yes"), bodies.field(request, "no")
        return execute(
            request, commands.decide(number(user_id), number(contact_id), yes=yes, no=no)
        )


def _suggested(user: User, found: Mapping[int, Sequence[uploads.Suggestion]]) -> list[Any]:
    contacts = Contact.objects.select_related("user").filter(user=user).in_bulk(list(found))
    most_first = sorted(found.items(), key=lambda each: (-len(each[1]), each[0]))
    nearest = [each.candidate.face for _, some in most_first for each in some[:FACES]]
    crops = FaceCrop.objects.filter(face__in=nearest).values_list("face", "face__face_id")
    face_ids = dict(crops)
    return [
        {
            "contact_id": contacts[pk].contact_id,
            "name": contacts[pk].name,
            "faces_count": len(some),
            "faces": [_suggestion(contacts[pk], each, face_ids) for each in some[:FACES]],
        }
        for pk, some in most_first
        if pk in contacts and not contacts[pk].is_hidden
    ]


def _suggestion(
    contact: Contact, found: uploads.Suggestion, face_ids: Mapping[int, int]
) -> dict[str, Any]:
    near, face_id = found.candidate, face_ids.get(found.candidate.face)
    numbers = (contact.user.user_id, contact.contact_id)
    return {
        **uploaded(found.place),
        "recognition_confidence": near.confidence,
        "distance": near.distance,
        "certainty": confidence.in_a_word(near.confidence),
        "near_crop_url": None if face_id is None else results.crop_url(*numbers, face_id),
    }
