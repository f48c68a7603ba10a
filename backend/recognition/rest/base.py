"""What the views of galleries share: whose users, and what their answers look like."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Final

from django.conf import settings
from django.http import Http404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiRequest
from rest_framework import serializers
from rest_framework.exceptions import APIException
from rest_framework.response import Response
from rest_framework.views import APIView

from backend.clients import caller
from backend.clients.models import Scope
from backend.common.http import admission
from backend.common.openapi import Fragment, in_path, response, sent
from backend.recognition.contract import INTEGERS
from backend.recognition.gallery.index import OnAnotherModel
from backend.recognition.models import User
from backend.recognition.operations import service
from backend.recognition.operations.service import CallFailed

NO_STORE: Final = {"Cache-Control": "no-store"}
USERS: Final = "/recognition/users/"

USER_ID: Final = in_path("user_id", OpenApiTypes.INT64, 1)
CONTACT_ID: Final = in_path("contact_id", OpenApiTypes.INT64, 7)
FACE_ID: Final = in_path("face_id", OpenApiTypes.INT64, 70)
PENDING: Final = sent("Pending-Calls", "Calls accepted before that have not ended yet.", 200)
TEXT: Final[Fragment] = {"type": "string"}
FILE: Final[Fragment] = {"type": "string", "format": "binary"}
OPERATION_ID: Final = "5d3a3c1e-1111-4c3b-9f4e-5f4f4b0d1f6a"


class Unprocessable(APIException):
    status_code = 422


class Conflict(APIException):
    status_code = 409


class GalleryView(APIView):
    scopes: ClassVar[dict[str, str]] = dict.fromkeys(
        ("get", "post", "patch", "delete"), Scope.RECOGNISE
    )

    @property
    def owner_id(self) -> int:
        return caller.from_request(self.request).client_id

    def user(self, user_id: str) -> User:
        """The caller's user, after the changes accepted before; others are not found."""
        user = self.user_or_none(user_id)
        if user is None:
            raise Http404
        return user

    def user_or_none(self, user_id: str) -> User | None:
        """As `user`; None where the caller has no such user."""
        self.pending = 0
        user = service.find_user(self.owner_id, number(user_id))
        if user is None:
            return None
        self.pending = _settled(user)
        user.refresh_from_db()
        return user if user.exists else None

    def answer(self, data: Any, **headers: str) -> Response:
        """An answer about `user`, with the number of changes that have not ended in time."""
        pending = {"Pending-Calls": str(self.pending)} if self.pending else {}
        return Response(data, headers={**NO_STORE, **pending, **headers})


@contextmanager
def comparable() -> Iterator[None]:
    """Answers 422 where the gallery is being moved to another model."""
    try:
        yield
    except OnAnotherModel as error:
        raise Unprocessable(str(error)) from error


def number(text: str) -> int:
    """A number of the path; not found where no database could store it."""
    if len(text) > 20 or int(text) not in INTEGERS:
        raise Http404
    return int(text)


def values(serializer: serializers.Serializer[Any]) -> dict[str, Any]:
    """The validated values of a body or a query."""
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


def form(*required: str, **properties: Fragment) -> OpenApiRequest:
    """A multipart body, for the document."""
    return OpenApiRequest({"type": "object", "properties": properties, "required": list(required)})


def detail(description: str, text: str) -> Any:
    """An error with a `detail`, for the document."""
    return response({"$ref": "#/components/schemas/Detail"}, description, {"detail": text})


INCOMPARABLE: Final = detail(
    "The gallery cannot be compared.", "The gallery is being moved to another model."
)


def _settled(user: User) -> int:
    with admission.blocking_wait_slot() as may_wait:
        timeout_s = settings.FACES_SYNC_RESPONSE_TIMEOUT_S if may_wait else 0.0
        try:
            return service.settle(user, timeout_s=timeout_s)
        except CallFailed:  # erased meanwhile, and the user with it
            raise Http404 from None
