"""Upload an image; ask how it is going."""

from uuid import UUID

from django.conf import settings
from django.shortcuts import get_object_or_404
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from backend.common.throttling import UploadThrottle
from backend.submissions import services
from backend.submissions.models import Submission
from backend.submissions.serializers import UploadSerializer, as_resource


class ImageView(APIView):
    parser_classes = [MultiPartParser]
    throttle_classes = [UploadThrottle]

    def post(self, request: Request) -> Response:
        upload = UploadSerializer(data=request.data)
        upload.is_valid(raise_exception=True)
        submission = services.accept(upload.validated_data["image"])
        body = {
            "message": "Request accepted. Starting image processing.",
            "feed_url": f"{settings.SERVICE_URL.replace('http', 'ws', 1)}/faces",
            "id": str(submission.pk),
            "status_url": f"{settings.SERVICE_URL}/image/{submission.pk}/",
        }
        return Response(body, status=202, headers={"Location": body["status_url"]})


class SubmissionView(APIView):
    def get(self, request: Request, id: UUID) -> Response:
        submission = get_object_or_404(Submission, pk=id)
        return Response(as_resource(submission), headers={"Cache-Control": "no-store"})
