"""What looks wrong in a gallery: faces that do not fit, contacts that may be one, and the undo."""

from __future__ import annotations

from typing import Any, Final

from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from backend.analysis import services as analysis
from backend.clients.limits import throttling
from backend.common.http.parsers import JSONParser
from backend.common.openapi import bad_request, body, errors, response
from backend.recognition import contract
from backend.recognition.gallery import cache, distinct, doubts
from backend.recognition.gallery.index import Gallery
from backend.recognition.models import Contact, Face, User
from backend.recognition.operations import service, undoing
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
from backend.recognition.rest.operations import AT, CONTACT

_ODD: Final = {
    "faces": [{"face_id": 70, "distance": 0.82, "near_contact_id": 8, "near_name": "Bea"}]
}
_TWINS: Final = {"pairs": [{"contacts": [CONTACT, {**CONTACT, "contact_id": 8}], "distance": 0.37}]}
_UNDOABLE: Final = {
    "operations": [
        {
            "operation_id": OPERATION_ID,
            "kind": "merge",
            "processed_at": AT,
            "contact_id": 7,
            "name": "Ann",
            "from_contact_id": 8,
            "from_name": "Anna",
        }
    ]
}


_TWO_CONTACTS: Final = body(contract.DistinctInput, {"contact_ids": [7, 8]})


def _as_it_is_now(*, distinct: bool) -> dict[int, Any]:
    return {
        200: response(shapes.DistinctSerializer, "As it is now.", {"distinct": distinct}),
        400: bad_request("No two numbers.", {"contact_ids": ["These are one contact."]}),
        **errors(404, 413, 415),
    }


class _DoubtsView(GalleryView):
    throttle_classes = [throttling.RequestRate]


@extend_schema(tags=["Recognition"], parameters=[USER_ID, CONTACT_ID])
class OddFacesView(_DoubtsView):
    @extend_schema(
        operation_id="odd_faces",
        parameters=[PENDING],
        responses={
            200: response(shapes.ODD_FACES, "The farthest first.", _ODD),
            422: INCOMPARABLE,
            **errors(404),
        },
    )
    def get(self, request: Request, user_id: str, contact_id: str) -> Response:
        """Faces of a contact that do not fit the others.

        Those used for recognition are compared: a face is odd that is farther than
        `FACES_CONFIDENCE_MIDPOINT` from two thirds of the others (none of these is nearer than
        `distance`), or nearer to those of another contact (`near_contact_id`).
        """
        user = self.user(user_id)
        contact = service.find_contact(user, number(contact_id))
        if contact is None:
            raise Http404
        found = doubts.odd_faces(_gallery_of(user), contact.pk)
        return self.answer({"faces": _described(user, found)})


@extend_schema(tags=["Recognition"], parameters=[USER_ID])
class TwinsView(_DoubtsView):
    parser_classes = [JSONParser]

    @extend_schema(
        operation_id="twins",
        parameters=[PENDING],
        responses={
            200: response(shapes.TWINS, "The nearest first.", _TWINS),
            422: INCOMPARABLE,
            **errors(404),
        },
    )
    def get(self, request: Request, user_id: str) -> Response:
        """Pairs of contacts that are likely one person, at most 50.

        Without hidden contacts, and pairs that are known as two people. Of a gallery of more than
        6,000 faces the newest are compared with all.
        """
        user = self.user(user_id)
        found = doubts.twins(_gallery_of(user), distinct.pairs(user))
        pks = [pk for each in found for pk in each.contacts]
        contacts = service.contacts(user).filter(is_hidden=False).in_bulk(pks)
        return self.answer(
            {
                "pairs": [
                    {
                        "contacts": shapes.ContactSerializer(
                            [contacts[pk] for pk in each.contacts], many=True
                        ).data,
                        "distance": each.distance,
                    }
                    for each in found
                    if contacts.keys() >= set(each.contacts)
                ]
            }
        )

    @extend_schema(
        operation_id="set_distinct",
        request=_TWO_CONTACTS,
        responses=_as_it_is_now(distinct=True),
    )
    def post(self, request: Request, user_id: str) -> Response:
        """Two contacts are two people: they are in no later answer."""
        return self._store(request, user_id, is_distinct=True)

    @extend_schema(
        operation_id="unset_distinct",
        request=_TWO_CONTACTS,
        responses=_as_it_is_now(distinct=False),
    )
    def delete(self, request: Request, user_id: str) -> Response:
        """Take back that two contacts are two people."""
        return self._store(request, user_id, is_distinct=False)

    def _store(self, request: Request, user_id: str, *, is_distinct: bool) -> Response:
        user, ids = self.user(user_id), bodies.field(request, "contact_ids")
        if not distinct.store(user, ids, is_distinct=is_distinct):
            raise Http404
        return self.answer({"distinct": is_distinct})


@extend_schema(tags=["Recognition"], parameters=[USER_ID])
class UndoableView(_DoubtsView):
    @extend_schema(
        operation_id="undoable",
        parameters=[PENDING],
        responses={200: response(shapes.UNDOABLE, "The newest first.", _UNDOABLE), **errors(404)},
    )
    def get(self, request: Request, user_id: str) -> Response:
        """Merges and decisions of the last day that can be undone, at most 50."""
        user = self.user(user_id)
        return self.answer({"operations": undoing.undoable(user)})


def _gallery_of(user: User) -> Gallery:
    with comparable():
        return cache.gallery_of(user, analysis.current_model())


def _described(user: User, found: list[doubts.OddFace]) -> list[dict[str, Any]]:
    face_ids = Face.objects.filter(user=user).in_bulk([each.face for each in found])
    near = Contact.objects.filter(user=user).in_bulk([each.near for each in found if each.near])
    return [
        {
            "face_id": face_ids[each.face].face_id,
            "distance": each.distance,
            "near_contact_id": near[each.near].contact_id if each.near in near else None,
            "near_name": near[each.near].name if each.near in near else None,
        }
        for each in found
        if each.face in face_ids
    ]
