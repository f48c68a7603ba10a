"""Galleries over HTTP: users, their contacts, the contacts' faces; whose face is this?

Every change answers what the function of its name returns, at once when it can be had at once, else
202 with the address of the call. Users belong to the calling client.
"""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django.conf import settings
from django.db.models import Count
from django.http import Http404, HttpResponse, JsonResponse
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from backend.clients import caller
from backend.clients.audit import audit
from backend.clients.limits import throttling
from backend.clients.models import Scope
from backend.common.http import admission
from backend.common.http.errors import Unavailable
from backend.common.http.parsers import JSONParser, MultiPartParser
from backend.recognition.models import Contact, Kind, Operation, User
from backend.recognition.operations import commands, events, service
from backend.recognition.operations.commands import Command
from backend.recognition.operations.service import CallFailed
from backend.recognition.rest import serializers

_NOT_KEPT = {"Cache-Control": "no-store"}
_METHODS = ("get", "post", "patch", "delete")
_DELETIONS = (Kind.DELETE, Kind.DELETE_CONTACT, Kind.DELETE_USER)


class _CameToNothing(APIException):
    status_code = 422


class _ImagesRate(throttling.UploadRate):
    """A batch costs as much as its images one by one."""

    def cost(self, request: Request) -> int:
        return serializers.images_count(request) if request.method == "POST" else 1


class _View(APIView):
    scopes: ClassVar[dict[str, str]] = dict.fromkeys(_METHODS, Scope.RECOGNISE)

    def user(self, user_id: str) -> User:
        """The caller's user; another's is answered as one that does not exist."""
        owner_id = caller.from_request(self.request).client_id
        user = service.find_user(owner_id, serializers.number(user_id))
        if user is None:
            raise Http404
        self.pending = _settled(user)
        user.refresh_from_db()
        if not user.exists:
            raise Http404
        return user

    def headers_of_reading(self) -> dict[str, str]:
        """Whoever reads is told if calls that were accepted before have not taken effect yet."""
        return {**_NOT_KEPT, **({"Pending-Calls": str(self.pending)} if self.pending else {})}


class UsersView(_View):
    def get(self, request: Request) -> Response:
        mine = User.objects.filter(owner_id=caller.from_request(request).client_id, exists=True)
        numbers = list(mine.order_by("user_id").values_list("user_id", flat=True))
        return Response([{"user_id": number} for number in numbers], headers=_NOT_KEPT)


class UserView(_View):
    def get(self, request: Request, user_id: str) -> Response:
        user = self.user(user_id)
        return Response(serializers.as_user(user), headers=self.headers_of_reading())

    def delete(self, request: Request, user_id: str) -> HttpResponse:
        return _carried_out(request, lambda: commands.delete_user(serializers.number(user_id)))


class UserFacesView(_View):
    def get(self, request: Request, user_id: str) -> Response:
        return _faces(self, self.user(user_id), None)


class ContactsView(_View):
    def get(self, request: Request, user_id: str) -> Response:
        contacts = self.user(user_id).contacts.annotate(count=Count("faces")).order_by("contact_id")
        found = [serializers.as_contact(each, faces_count=each.count) for each in contacts]
        return Response(found, headers=self.headers_of_reading())


class ContactView(_View):
    def get(self, request: Request, user_id: str, contact_id: str) -> Response:
        contact = _contact(self.user(user_id), contact_id)
        body = serializers.as_contact(contact, faces_count=contact.faces.count())
        return Response(body, headers=self.headers_of_reading())

    def patch(self, request: Request, user_id: str, contact_id: str) -> HttpResponse:
        """Rename the contact."""
        name, ids = serializers.field(request, "name"), _numbers(user_id, contact_id)
        return _carried_out(request, lambda: commands.rename(*ids, name))

    def delete(self, request: Request, user_id: str, contact_id: str) -> HttpResponse:
        ids = _numbers(user_id, contact_id)
        return _carried_out(request, lambda: commands.delete_contact(*ids))


class FacesView(_View):
    parser_classes = [JSONParser, MultiPartParser]
    throttle_classes = [throttling.RequestRate, _ImagesRate, throttling.UploadBytesRate]

    def get(self, request: Request, user_id: str, contact_id: str) -> Response:
        user = self.user(user_id)
        return _faces(self, user, _contact(user, contact_id).contact_id)

    def post(self, request: Request, user_id: str, contact_id: str) -> HttpResponse:
        ids, faces = _numbers(user_id, contact_id), serializers.faces(request)
        return _carried_out(request, lambda: commands.add(*ids, faces))

    def delete(self, request: Request, user_id: str, contact_id: str) -> HttpResponse:
        ids, faces = _numbers(user_id, contact_id), serializers.faces(request)
        return _carried_out(request, lambda: commands.delete(*ids, faces))


class FaceView(_View):
    def get(self, request: Request, user_id: str, contact_id: str, face_id: str) -> Response:
        contact = _contact(self.user(user_id), contact_id)
        found = service.face(contact, serializers.number(face_id))
        if found is None:
            raise Http404
        return Response(found, headers=self.headers_of_reading())

    def delete(self, request: Request, user_id: str, contact_id: str, face_id: str) -> HttpResponse:
        ids, faces = _numbers(user_id, contact_id), [{"face_id": serializers.number(face_id)}]
        return _carried_out(request, lambda: commands.delete(*ids, faces))


class MoveView(_View):
    def post(self, request: Request, user_id: str, contact_id: str) -> HttpResponse:
        """Make faces of this contact another's, `to_contact_id`."""
        ids, faces = _numbers(user_id, contact_id), serializers.faces(request)
        to = serializers.field(request, "to_contact_id")
        return _carried_out(request, lambda: commands.move(*ids, faces, to=to))


class MergeView(_View):
    def post(self, request: Request, user_id: str, contact_id: str) -> HttpResponse:
        """Make all faces of `from_contact_id` this contact's."""
        source = serializers.field(request, "from_contact_id")
        ids = _numbers(user_id, contact_id)
        return _carried_out(request, lambda: commands.merge(*ids, source))


class RecogniseView(_View):
    parser_classes = [JSONParser, MultiPartParser]
    throttle_classes = [throttling.RequestRate, throttling.UploadRate, throttling.UploadBytesRate]

    def post(self, request: Request, user_id: str) -> HttpResponse:
        image = serializers.image(request)
        return _carried_out(request, lambda: commands.recognise(serializers.number(user_id), image))


class OperationView(_View):
    def get(self, request: Request, id: UUID) -> Response:
        operation = service.find_operation(caller.from_request(request).client_id, id)
        if operation is None:
            raise Http404
        return Response(serializers.as_operation(operation), headers=_NOT_KEPT)


def _numbers(user_id: str, contact_id: str) -> tuple[int, int]:
    return serializers.number(user_id), serializers.number(contact_id)


def _contact(user: User, contact_id: str) -> Contact:
    contact = service.find_contact(user, serializers.number(contact_id))
    if contact is None:
        raise Http404
    return contact


def _faces(view: _View, user: User, contact_id: int | None) -> Response:
    """The array of the contract; a part of it only for who asks for pages."""
    page = serializers.page(view.request)
    headers = view.headers_of_reading()
    if page is None:
        return Response(service.faces(user, contact_id=contact_id), headers=headers)
    after, limit = page
    found = service.faces(user, contact_id=contact_id, after=after, at_most=limit)
    if len(found) == limit:
        path = f"{settings.SERVICE_URL}{view.request.path}?after={found[-1]['id']}&limit={limit}"
        headers["Link"] = f'<{path}>; rel="next"'
    return Response(found, headers=headers)


def _settled(user: User) -> int:
    """How many calls before have not taken effect, also after we waited for them."""
    with admission.blocking_wait_slot() as may_wait:
        timeout_s = settings.FACES_ANSWER_TIMEOUT_S if may_wait else 0.0
        try:
            return service.settle(user, timeout_s=timeout_s)
        except CallFailed:  # erased meanwhile, and the user with it
            return 0


def _carried_out(request: Request, make: Any) -> HttpResponse:
    """Accept the call and answer it, at once if its end can be had at once."""
    call: Command = make()
    who, timeout_s = caller.from_request(request), settings.FACES_ANSWER_TIMEOUT_S
    with admission.blocking_wait_slot() as may_wait:
        patience_s = timeout_s if may_wait else 0.0
        operation = service.begin(call, owner_id=who.client_id, timeout_s=patience_s)
        try:
            service.wait(operation, timeout_s=patience_s)
        except CallFailed as error:
            raise Unavailable(str(error)) from error
    if call.kind in _DELETIONS:
        audit(who.name, f"recognition: {call.kind}", f"operation {operation.pk}")
    if not operation.has_ended and service.follow(operation):
        return _accepted(operation)
    return _answer(operation)


def _accepted(operation: Operation) -> Response:
    address = events.url(operation)
    headers = {**_NOT_KEPT, "Location": address, "Retry-After": "1"}
    return Response(serializers.as_operation(operation), status=202, headers=headers)


def _renamed(operation: Operation, headers: dict[str, str]) -> Response:
    """The contact as it is now."""
    contact = service.find_contact(operation.user, operation.contact_id or 0)
    if contact is None or not (operation.result or {}).get("renamed"):
        raise Http404
    body = serializers.as_contact(contact, faces_count=contact.faces.count())
    return Response(body, headers=headers)


def _answer(operation: Operation) -> HttpResponse:
    headers = {**_NOT_KEPT, "Operation-Id": str(operation.pk)}
    try:
        if operation.kind == Kind.RECOGNISE:
            # Not REST framework's answer, which makes of None no body at all.
            return JsonResponse(service.recognised(operation), safe=False, headers=headers)
        body = service.changes(operation)
        if operation.kind == Kind.RENAME:
            return _renamed(operation, headers)
        return Response(body, headers=headers)
    except CallFailed as error:
        raise _CameToNothing(str(error)) from error
