"""The pictures of photos and references: access is checked here, nginx sends the file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar
from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.db.models.fields.files import FieldFile
from django.http import Http404, HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request
from rest_framework.views import APIView

from backend.clients.auth import signed_urls
from backend.common.http import protected_files
from backend.common.openapi import LINK_PARAMETERS, errors, in_path, response
from backend.photos.access import selectors
from backend.photos.models import WIDTHS_PX

F = TypeVar("F", bound=Callable[..., Any])

_KEY: Final = in_path("key", OpenApiTypes.UUID, "7246f927-3c53-4d2f-9f4e-5f4f4b0d1f6a")
_SIZE: Final = in_path("size", {"enum": ["full", *map(str, WIDTHS_PX)]}, "full")


class _SessionUser(BaseAuthentication):
    """The user of the pages' session, if logged in."""

    def authenticate(self, request: Request) -> tuple[Any, None] | None:
        user = request._request.user
        return (user, None) if user.is_authenticated else None


class _PictureView(APIView):
    """By the session of the pages, or by a signed link; 404 if the viewer may not see it."""

    authentication_classes = (_SessionUser,)
    permission_classes: Any = ()
    throttle_classes: Any = ()

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """A picture is sent whatever `Accept` says, because `img` elements send any."""
        return super().perform_content_negotiation(request, force=True)

    def viewer(self, request: Request) -> dict[str, Any]:
        by_link = signed_urls.is_signed(request.GET) and signed_urls.verify(
            request.path_info, request.GET
        )
        return {"viewer": request.user or AnonymousUser(), "by_link": by_link}


def _described(operation_id: str, *parameters: Any) -> Callable[[F], F]:
    return extend_schema(
        operation_id=operation_id,
        tags=["Photos"],
        parameters=[*parameters, *LINK_PARAMETERS],
        responses={
            (200, "image/jpeg"): response(OpenApiTypes.BINARY, "The picture."),
            **errors(404),
        },
    )


class PhotoPictureView(_PictureView):
    api_path = "/photos/{key}/{size}.jpg"

    @_described("photo_picture", _KEY, _SIZE)
    def get(self, request: Request, key: str, size: str) -> HttpResponse:
        """A photo, or a thumbnail of it.

        For members who may see it, and by a signed link.
        """
        width_px = None if size == "full" else int(size)
        return _send(selectors.photo_picture(UUID(key), width_px, **self.viewer(request)))


class ReferencePictureView(_PictureView):
    api_path = "/references/{key}.jpg"

    @_described("reference_picture", _KEY)
    def get(self, request: Request, key: str) -> HttpResponse:
        """The picture of a reference.

        For its member, and by a signed link.
        """
        return _send(selectors.reference_picture(UUID(key), **self.viewer(request)))


def _send(picture: FieldFile | None) -> HttpResponse:
    if picture is None:
        raise Http404
    return protected_files.x_accel_response(picture)
