"""Commands over HTTP: answered at once if they end in time, else 202 with the operation's URL."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, TypeVar
from uuid import UUID

from django.conf import settings
from django.http import Http404, HttpResponse, JsonResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from backend.analysis.serializers import requested_detector
from backend.clients import caller
from backend.clients.audit import audit
from backend.common.http import admission
from backend.common.http.errors import Unavailable
from backend.common.openapi import bad_request, errors, in_path, response, sent
from backend.recognition.models import DELETIONS, Kind, Operation
from backend.recognition.operations import commands, events, service
from backend.recognition.operations.commands import SEARCHING, Command
from backend.recognition.operations.service import CallFailed, NotThere
from backend.recognition.rest.base import (
    NO_STORE,
    OPERATION_ID,
    GalleryView,
    Unprocessable,
    detail,
)
from backend.recognition.rest.serializers import (
    CHANGES,
    CallSerializer,
    ContactSerializer,
)

AT: Final = "2026-01-02T03:04:05.678901+00:00"
FACE: Final = {
    "user_id": 1,
    "contact_id": 7,
    "face_id": 70,
    "face_url": "https://pictures.example/7.jpg",
    "external_id": None,
    "score": 0.9,
    "id": 12,
    "is_face": True,
}
CONTACT: Final = {
    "contact_id": 7,
    "name": "Ann",
    "created_at": AT,
    "faces_count": 1,
    "is_hidden": False,
    "crop_url": "http://localhost:8282/recognition/users/1/contacts/7/faces/70/crop.jpg",
}
CALL: Final = {
    "operation_id": OPERATION_ID,
    "operation_url": f"http://localhost:8282/recognition/operations/{OPERATION_ID}/",
    "user_id": 1,
    "kind": "add",
    "status": "queued",
    "created_at": AT,
    "processed_at": None,
    "reason": None,
    "result": None,
}
CHANGED: Final = response(
    CHANGES,
    "What changed.",
    {"added": [FACE], "deleted": [], "not_found": [], "error": []},
)


Method = TypeVar("Method", bound=Callable[..., HttpResponse])


def command(
    operation_id: str, *, request: Any = None, done: Any = CHANGED, parameters: Any = ()
) -> Callable[[Method], Method]:
    """The document's part on a command."""
    return extend_schema(
        operation_id=operation_id,
        request=request,
        parameters=[
            *parameters,
            sent("Operation-Id", "The call's id, for `/recognition/operations/`.", 200),
            sent("Location", "The call.", 202),
            sent("Retry-After", "Seconds to wait.", 202),
        ],
        responses={
            200: done,
            202: response(
                CallSerializer,
                "It takes longer: poll it. Calls on one user take effect in the order in which "
                "they were accepted.",
                CALL,
            ),
            400: bad_request(
                "Something of the call cannot be used.", {"faces": ["Expected a list of faces."]}
            ),
            422: detail("There is no result.", "The call was erased in the meantime."),
            **errors(404, 413, 415),
        },
    )


def execute(request: Request, command: Command) -> HttpResponse:
    """Accept the command, and answer its result if it ends in time."""
    client, detector = caller.from_request(request), requested_detector(request)
    if command.kind in SEARCHING:
        command = replace(command, detector=detector)
    with admission.blocking_wait_slot() as may_wait:
        timeout_s = settings.FACES_SYNC_RESPONSE_TIMEOUT_S if may_wait else 0.0
        operation = service.begin(command, owner_id=client.client_id, timeout_s=timeout_s)
        try:
            service.wait(operation, timeout_s=timeout_s)
        except CallFailed as error:
            raise Unavailable(str(error)) from error
    if command.kind in DELETIONS:
        audit(client.name, f"recognition: {command.kind}", f"operation {operation.pk}")
    if not operation.has_ended and service.follow(operation):
        return accepted(operation)
    try:
        return _result(operation)
    except NotThere as error:
        raise NotFound(str(error)) from error
    except CallFailed as error:
        raise Unprocessable(str(error)) from error


def accepted(operation: Operation) -> Response:
    """202 with the operation, which has not ended."""
    headers = {**NO_STORE, "Location": events.url(operation), "Retry-After": "1"}
    return Response(CallSerializer(operation).data, status=202, headers=headers)


@extend_schema(tags=["Recognition"])
class OperationView(GalleryView):
    @extend_schema(
        operation_id="recognition_operation",
        parameters=[in_path("id", OpenApiTypes.UUID, OPERATION_ID)],
        responses={200: response(CallSerializer, "The call.", CALL), **errors(404)},
    )
    def get(self, request: Request, id: UUID) -> Response:
        """How a call is going."""
        operation = service.find_operation(self.owner_id, id)
        if operation is None:
            raise Http404
        return Response(CallSerializer(operation).data, headers=NO_STORE)


@extend_schema(tags=["Recognition"])
class UndoView(GalleryView):
    @command("undo", parameters=[in_path("id", OpenApiTypes.UUID, OPERATION_ID)])
    def post(self, request: Request, id: UUID) -> HttpResponse:
        """Undo decisions or a merge.

        Within a day, once. Faces that were deleted or moved since stay as they are; another
        operation, and one that is undone, is 422.
        """
        operation = service.find_operation(self.owner_id, id)
        if operation is None:
            raise Http404
        return execute(request, commands.undo(operation.user.user_id, operation.pk))


def _result(operation: Operation) -> HttpResponse:
    headers = {**NO_STORE, "Operation-Id": str(operation.pk)}
    if operation.kind == Kind.RECOGNISE:
        # Not REST framework's answer, which makes of None no body at all.
        count = (operation.result or {}).get("faces_count")
        counted = {} if count is None else {"Faces-Count": str(count)}
        answer = service.recognition(operation)
        return JsonResponse(answer, safe=False, headers={**headers, **counted})
    if operation.kind in (Kind.REJECT, Kind.UNREJECT):
        return Response({"rejected": service.rejection(operation)}, headers=headers)
    if operation.kind == Kind.DECIDE:
        return Response(service.decided(operation), headers=headers)
    changes = service.changes(operation)
    if operation.kind != Kind.RENAME:
        return Response(changes, headers=headers)
    contact = service.find_contact(operation.user, operation.contact_id or 0)
    if contact is None or not (operation.result or {}).get("renamed"):
        raise Http404
    return Response(ContactSerializer(contact).data, headers=headers)
