"""Upload an image; ask how it is going."""

from uuid import UUID

from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from backend.clients import caller, feeds, rates
from backend.clients.authentication import LinkAuthentication
from backend.clients.models import Scope
from backend.clients.services import audit
from backend.common import files, logs
from backend.common.parsers import MultiPartParser
from backend.submissions import services
from backend.submissions.models import Submission
from backend.submissions.serializers import UploadSerializer, as_resource


class ImageView(APIView):
    parser_classes = [MultiPartParser]
    throttle_classes = [rates.RequestRate, rates.UploadRate, rates.UploadBytesRate]
    scopes = {"post": Scope.UPLOAD}

    def post(self, request: Request) -> Response:
        upload = UploadSerializer(data=request.data)
        upload.is_valid(raise_exception=True)
        submission = services.accept(
            upload.validated_data["image"],
            owner_id=caller.of(request).client_id,
            request_id=logs.context()["request"],
        )
        body = {
            "message": "Request accepted. Starting image processing.",
            "feed_url": feeds.url(caller.of(request)),
            "id": str(submission.pk),
            "status_url": f"{settings.SERVICE_URL}/image/{submission.pk}/",
        }
        return Response(body, status=202, headers={"Location": body["status_url"]})


class SubmissionView(APIView):
    scopes = {"get": Scope.READ, "delete": Scope.UPLOAD}

    def get(self, request: Request, id: UUID) -> Response:
        submission = _own(request, id)
        return Response(as_resource(submission), headers={"Cache-Control": "no-store"})

    def delete(self, request: Request, id: UUID) -> Response:
        """Erase the image from every store; 204 when nothing is left of it."""
        submission = _own(request, id)
        services.erase(submission)
        audit(caller.of(request).name, "erase image", str(id))
        return Response(status=204)


class FacesView(APIView):
    """What was found, in full: each face's box, its 128 numbers and its quality."""

    scopes = {"get": Scope.READ}

    def get(self, request: Request, id: UUID) -> Response:
        submission = _own(request, id)
        found = [vars(face) for face in services.faces(submission)]
        body = {"status": submission.status, "faces": found}
        return Response(body, headers={"Cache-Control": "no-store"})


class OriginalView(APIView):
    """The image as it was uploaded: for its owner, or by a signed link."""

    authentication_classes = [LinkAuthentication]
    scopes = {"get": Scope.READ}

    def get(self, request: Request, id: UUID) -> HttpResponse:
        return files.send(_reachable(request, id).image)


class ResultView(APIView):
    """The image with its boxes: for its owner, or by a signed link."""

    authentication_classes = [LinkAuthentication]
    scopes = {"get": Scope.READ}

    def get(self, request: Request, id: UUID) -> HttpResponse:
        return files.send(_reachable(request, id).result)


def _own(request: Request, id: UUID) -> Submission:
    """The caller's submission; another's is answered as one that does not exist."""
    return get_object_or_404(Submission, pk=id, owner_id=caller.of(request).client_id)


def _reachable(request: Request, id: UUID) -> Submission:
    if caller.of(request).by_link:
        return get_object_or_404(Submission, pk=id)
    return _own(request, id)
