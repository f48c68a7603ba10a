"""Galleries over HTTP: users, their contacts, the contacts' faces; whose face is this?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from backend.analysis.serializers import DETECTOR
from backend.clients.limits import throttling
from backend.common.http.parsers import JSONParser, MultiPartParser
from backend.common.http.service_url import service_url
from backend.common.openapi import bad_request, body, errors, in_query, response, sent
from backend.recognition import contract
from backend.recognition.models import Contact, FaceCrop, User
from backend.recognition.operations import commands, service
from backend.recognition.rest import bodies
from backend.recognition.rest import serializers as shapes
from backend.recognition.rest.base import (
    CONTACT_ID,
    FACE_ID,
    FILE,
    NO_STORE,
    OPERATION_ID,
    PENDING,
    TEXT,
    USER_ID,
    USERS,
    GalleryView,
    form,
    number,
    values,
)
from backend.recognition.rest.operations import AT, CONTACT, FACE, Method, command, execute

_TAGS: Final = ["Recognition"]
_FACES: Final = response(
    {"type": "array", "items": shapes.FACE}, "The faces, in the order in which they came.", [FACE]
)
# One face, or `faces`: a JSON array, whose `image` names the image's part.
_FACE_FIELDS: Final = (
    *("faces", "face_id", "score", "external_id", "face_url", "submission", "face"),
)
_NO_NUMBER: Final = bad_request("No number.", {"after": ["A valid integer is required."]})


def _read(operation_id: str, answer: Any) -> Callable[[Method], Method]:
    return extend_schema(
        operation_id=operation_id, parameters=[PENDING], responses={200: answer, **errors(404)}
    )


def _page(after: str, least: int) -> list[Any]:
    """The parameters of an answer that is paged where the query asks for it."""
    return [
        in_query("after", {"type": "integer", "minimum": least}, after),
        in_query(
            "limit",
            {"type": "integer", "minimum": 0, "maximum": shapes.PAGE_FACES},
            "The size of a page; `Link` is the next one.",
        ),
        sent("Link", "The next page, if there may be one.", 200),
    ]


def _faces_page(operation_id: str) -> Callable[[Method], Method]:
    return extend_schema(
        operation_id=operation_id,
        parameters=[*_page("Only faces after the one with this `id`.", 0), PENDING],
        responses={200: _FACES, 400: _NO_NUMBER, **errors(404)},
    )


def _link(request: Request, last: int, limit: int) -> str:
    """The header `Link` of a page that ends with `last`."""
    next_page = f"{service_url()}{request.path_info}?after={last}&limit={limit}"
    return f'<{next_page}>; rel="next"'


def _faces_body(serializer: Any, **more: Any) -> Any:
    example = {"faces": [{"face_id": 70, "face_url": FACE["face_url"], "score": 0.9}]}
    return {
        "application/json": body(serializer, example),
        "multipart/form-data": form(**dict.fromkeys(_FACE_FIELDS, TEXT), image=FILE, **more),
    }


class _ImagesRate(throttling.UploadRate):
    """A batch costs as much as its images one by one."""

    def cost(self, request: Request) -> int:
        count = bodies.images_count(request) if request.method == "POST" else 1
        # The view refuses more, before it looks at any.
        return count if count <= contract.MAX_FACES else 1


class _ReadView(GalleryView):
    def contact(self, user_id: str, contact_id: str) -> Contact:
        contact = service.find_contact(self.user(user_id), number(contact_id))
        if contact is None:
            raise Http404
        return contact

    def faces(self, user: User, contact_id: int | None) -> Response:
        """All faces; a page only if the query asks for one."""
        page = values(shapes.PageInput(data=self.request.query_params))
        if not page:
            return self.answer(service.faces(user, contact_id=contact_id))
        limit = max(1, page.get("limit", shapes.PAGE_FACES))
        found = service.faces(
            user, contact_id=contact_id, after=page.get("after", 0), at_most=limit
        )
        if len(found) < limit:
            return self.answer(found)
        return self.answer(found, Link=_link(self.request, found[-1]["id"], limit))


@extend_schema(tags=_TAGS)
class UsersView(GalleryView):
    @extend_schema(
        operation_id="gallery_users",
        parameters=_page("Only users after this `user_id`.", contract.INTEGERS[0]),
        responses={
            200: response(shapes.USERS, "Their numbers.", [{"user_id": 1}]),
            400: _NO_NUMBER,
        },
    )
    def get(self, request: Request) -> Response:
        """The caller's users: all, or a page if the query asks for one."""
        page = values(shapes.UsersPageInput(data=request.query_params))
        users = User.objects.filter(owner_id=self.owner_id, exists=True).order_by("user_id")
        if not page:
            return Response(list(users.values("user_id")), headers=NO_STORE)
        limit = max(1, page.get("limit", shapes.PAGE_FACES))
        if "after" in page:
            users = users.filter(user_id__gt=page["after"])
        found = list(users.values("user_id")[:limit])
        more = {"Link": _link(request, found[-1]["user_id"], limit)} if len(found) == limit else {}
        return Response(found, headers={**NO_STORE, **more})


@extend_schema(tags=_TAGS, parameters=[USER_ID])
class UserView(_ReadView):
    @_read(
        "gallery_user",
        response(
            shapes.GalleryUserSerializer,
            "As it is now.",
            {"user_id": 1, "created_at": AT, "contacts_count": 1, "faces_count": 1},
        ),
    )
    def get(self, request: Request, user_id: str) -> Response:
        """One user."""
        return self.answer(shapes.GalleryUserSerializer(self.user(user_id)).data)

    @command("delete_user")
    def delete(self, request: Request, user_id: str) -> HttpResponse:
        """Delete a user with all faces."""
        return execute(request, commands.delete_user(number(user_id)))


@extend_schema(tags=_TAGS, parameters=[USER_ID])
class UserFacesView(_ReadView):
    @_faces_page("user_faces")
    def get(self, request: Request, user_id: str) -> Response:
        """All faces of a user."""
        return self.faces(self.user(user_id), None)


@extend_schema(tags=_TAGS, parameters=[USER_ID])
class ContactsView(_ReadView):
    parser_classes = [JSONParser, MultiPartParser]
    throttle_classes = [throttling.RequestRate, _ImagesRate, throttling.UploadBytesRate]

    @_read("contacts", response(shapes.ContactSerializer(many=True), "As they are now.", [CONTACT]))
    def get(self, request: Request, user_id: str) -> Response:
        """A user's contacts."""
        contacts = service.contacts(self.user(user_id))
        return self.answer(shapes.ContactSerializer(contacts, many=True).data)

    @command(
        "enrol_contact",
        request={
            "application/json": body(
                contract.NewContactInput,
                {"name": "Ann", "faces": [{"submission": OPERATION_ID, "face": 0}]},
            ),
            "multipart/form-data": form(
                **dict.fromkeys(("name", "detector", *_FACE_FIELDS), TEXT), image=FILE
            ),
        },
        parameters=[DETECTOR],
    )
    def post(self, request: Request, user_id: str) -> HttpResponse:
        """Enrol a new contact, whose number the server chooses.

        With at least one face; if none can be added, no contact is made.
        """
        name = bodies.field(request, "name") or ""
        return execute(request, commands.enrol(number(user_id), bodies.faces(request), name))


@extend_schema(tags=_TAGS, parameters=[USER_ID, CONTACT_ID])
class ContactView(_ReadView):
    @_read("contact", response(shapes.ContactSerializer, "As it is now.", CONTACT))
    def get(self, request: Request, user_id: str, contact_id: str) -> Response:
        """One contact."""
        return self.answer(shapes.ContactSerializer(self.contact(user_id, contact_id)).data)

    @command(
        "rename_contact",
        request=body(contract.ContactChangesInput, {"name": "Ann"}),
        done=response(shapes.ContactSerializer, "The contact.", CONTACT),
    )
    def patch(self, request: Request, user_id: str, contact_id: str) -> HttpResponse:
        """Rename a contact, hide it, or show it again.

        A hidden contact is recognised as before, and left out of suggestions and twins.
        """
        changes = bodies.fields(request, "name", "is_hidden")
        return execute(request, commands.change(*_numbers(user_id, contact_id), **changes))

    @command("delete_contact")
    def delete(self, request: Request, user_id: str, contact_id: str) -> HttpResponse:
        """Delete a contact with its faces."""
        return execute(request, commands.delete_contact(*_numbers(user_id, contact_id)))


@extend_schema(tags=_TAGS, parameters=[USER_ID, CONTACT_ID])
class FacesView(_ReadView):
    parser_classes = [JSONParser, MultiPartParser]
    throttle_classes = [throttling.RequestRate, _ImagesRate, throttling.UploadBytesRate]

    @_faces_page("contact_faces")
    def get(self, request: Request, user_id: str, contact_id: str) -> Response:
        """A contact's faces."""
        contact = self.contact(user_id, contact_id)
        return self.faces(contact.user, contact.contact_id)

    @command(
        "add_faces",
        request=_faces_body(contract.NewFacesInput, detector=TEXT),
        parameters=[DETECTOR],
    )
    def post(self, request: Request, user_id: str, contact_id: str) -> HttpResponse:
        """Enrol faces of a contact.

        The body may also be the array itself.
        """
        ids = _numbers(user_id, contact_id)
        return execute(request, commands.add(*ids, bodies.faces(request)))

    @command("delete_faces", request=_faces_body(contract.FacesInput))
    def delete(self, request: Request, user_id: str, contact_id: str) -> HttpResponse:
        """Delete faces of a contact.

        The body may also be the array itself.
        """
        ids = _numbers(user_id, contact_id)
        return execute(request, commands.delete(*ids, bodies.faces(request)))


@extend_schema(tags=_TAGS, parameters=[USER_ID, CONTACT_ID, FACE_ID])
class FaceView(_ReadView):
    @_read("gallery_face", response(shapes.FACE, "As it is now.", FACE))
    def get(self, request: Request, user_id: str, contact_id: str, face_id: str) -> Response:
        """One face."""
        found = service.face(self.contact(user_id, contact_id), number(face_id))
        if found is None:
            raise Http404
        return self.answer(found)

    @command("delete_face")
    def delete(self, request: Request, user_id: str, contact_id: str, face_id: str) -> HttpResponse:
        """Delete one face."""
        ids, faces = _numbers(user_id, contact_id), [{"face_id": number(face_id)}]
        return execute(request, commands.delete(*ids, faces))


@extend_schema(tags=_TAGS, parameters=[USER_ID, CONTACT_ID, FACE_ID])
class CropView(_ReadView):
    api_path = f"{USERS}{{user_id}}/contacts/{{contact_id}}/faces/{{face_id}}/crop.jpg"

    @extend_schema(
        operation_id="gallery_face_crop",
        parameters=[PENDING],
        responses={
            (200, "image/jpeg"): response(OpenApiTypes.BINARY, "160 × 160 pixels."),
            **errors(404),
        },
    )
    def get(self, request: Request, user_id: str, contact_id: str, face_id: str) -> HttpResponse:
        """The picture of a face that was enrolled from a submission.

        Kept with `FACES_KEEP_CROPS`, and deleted with its face.
        """
        contact = self.contact(user_id, contact_id)
        crop = get_object_or_404(FaceCrop, face__contact=contact, face__face_id=number(face_id))
        return HttpResponse(bytes(crop.jpeg), content_type="image/jpeg", headers=NO_STORE)


@extend_schema(tags=_TAGS, parameters=[USER_ID, CONTACT_ID])
class MoveView(GalleryView):
    @command(
        "move_faces",
        request=body(contract.MoveInput, {"faces": [{"face_id": 70}], "to_contact_id": 8}),
    )
    def post(self, request: Request, user_id: str, contact_id: str) -> HttpResponse:
        """Make faces another contact's."""
        ids, to = _numbers(user_id, contact_id), bodies.field(request, "to_contact_id")
        return execute(request, commands.move(*ids, bodies.faces(request), to=to))


@extend_schema(tags=_TAGS, parameters=[USER_ID, CONTACT_ID])
class MergeView(GalleryView):
    @command("merge_contacts", request=body(contract.MergeInput, {"from_contact_id": 8}))
    def post(self, request: Request, user_id: str, contact_id: str) -> HttpResponse:
        """Make all faces of another contact this one's."""
        source = bodies.field(request, "from_contact_id")
        return execute(request, commands.merge(*_numbers(user_id, contact_id), source))


def _numbers(user_id: str, contact_id: str) -> tuple[int, int]:
    return number(user_id), number(contact_id)
