"""The faces of the caller's own uploads: groups of those that no contact of a user may be."""

from __future__ import annotations

from typing import Any, Final

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from backend.clients.limits import throttling
from backend.common.http.service_url import service_url
from backend.common.openapi import errors, response
from backend.recognition.gallery import uploads
from backend.recognition.rest import serializers as shapes
from backend.recognition.rest.base import OPERATION_ID, PENDING, USER_ID, GalleryView

OFF: Final = "Grouping unknown faces is switched off (FACES_GROUP_UNKNOWN)."

FACES: Final = 24
"""Of a group: as many as are looked at in one go. The others follow once these have a name."""

_GROUPS: Final = 50

UPLOADED_FACE: Final = {
    "submission": OPERATION_ID,
    "face": 0,
    "crop_url": f"http://localhost:8282/image/{OPERATION_ID}/faces/0/crop.jpg",
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
        found = uploads.groups(uploads.sort_out(self.owner_id, user))
        groups = [
            {"faces_count": len(group), "faces": [uploaded(each) for each in group[:FACES]]}
            for group in found[:_GROUPS]
        ]
        return self.answer({"groups_count": len(found), "groups": groups})
