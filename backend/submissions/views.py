"""Upload an image; ask how it is going."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.exceptions import APIException, NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from backend.analysis import services as analysis
from backend.analysis.serializers import DETECTOR, FACE_EXAMPLE, requested_detector
from backend.analysis.services import AnalysisError
from backend.clients import caller
from backend.clients.audit import audit
from backend.clients.auth import feed_tokens
from backend.clients.auth.authentication import LinkAuthentication
from backend.clients.limits import throttling
from backend.clients.models import Scope
from backend.common.http import protected_files
from backend.common.http.parsers import JSONParser, MultiPartParser
from backend.common.http.service_url import service_url
from backend.common.jobs.models import JobError, Status
from backend.common.observability import logs
from backend.common.openapi import (
    LINK_PARAMETERS,
    bad_request,
    body,
    errors,
    in_path,
    in_query,
    response,
    sent,
)
from backend.submissions import corrections, services
from backend.submissions.models import Submission
from backend.submissions.serializers import (
    NOT_AN_IMAGE,
    ONE_OF,
    AcceptedSerializer,
    CorrectionSerializer,
    DrawnFaceSerializer,
    FaceNumberSerializer,
    FacesSerializer,
    ListQuerySerializer,
    SubmissionSerializer,
    SubmissionsSerializer,
    UploadSerializer,
)
from wire.events import BoxShape

_NOT_KEPT: Final = {"Cache-Control": "no-store"}


class Conflict(APIException):
    status_code = 409
    default_detail = "The image is not processed yet."


class Unprocessable(APIException):
    status_code = 422


_ID: Final = "7246f927-3c53-4d2f-9f4e-5f4f4b0d1f6a"
_HOST: Final = "http://localhost:8282"

_ACCEPTED: Final = {
    "message": "Request accepted. Starting image processing.",
    "feed_url": "ws://localhost:8282/faces",
    "id": _ID,
    "status_url": f"{_HOST}/image/{_ID}/",
}
_DONE: Final = {
    "id": _ID,
    "status": "done",
    "created_at": "2026-01-02T03:04:05.678901+00:00",
    "processed_at": "2026-01-02T03:04:06.012345+00:00",
    "faces_count": 1,
    "faces": [{"box": FACE_EXAMPLE["box"]}],
    "detector": "hog",
    "smallest_face_px": 40,
    "image_url": f"{_HOST}/static/processed_faces/72/46/{_ID}.jpg",
    "original_url": f"{_HOST}/image/{_ID}/original",
    "reason": None,
    "attempts": 1,
}
_QUEUED: Final = {
    **_DONE,
    **dict.fromkeys(("processed_at", "faces_count", "detector", "smallest_face_px", "image_url")),
    "status": "queued",
    "faces": [],
    "attempts": 0,
}
_FAILED: Final = {
    **_QUEUED,
    "status": "failed",
    "processed_at": _DONE["processed_at"],
    "reason": "The image could not be decoded.",
}

_STATUS: Final = {"status_url": f"{_HOST}/image/{_ID}/"}
_PENDING: Final = {
    "type": "object",
    "properties": {"status_url": {"type": "string", "format": "uri"}},
    "required": ["status_url"],
}
_DRAWN: Final = {**FACE_EXAMPLE, "by_hand": "drawn", "face": 1}
_LISTED: Final = {
    name: value
    for name, value in _DONE.items()
    if name not in ("faces", "detector", "smallest_face_px", "attempts")
}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_id: Final = in_path("id", OpenApiTypes.UUID, _ID, "The submission's id.")
_face: Final = in_path("face", OpenApiTypes.INT, 0, "From 0, in the order of the answer.")
_CROP_PX: Final = 160
"""As the crops of galleries: sharp on a phone's screen as a tile of 80 points."""
_HEX: Final = {"type": "string", "pattern": "^[0-9a-f]{2}$"}
_PICTURES = [f"image/{kind}" for kind in ("avif", "bmp", "gif", "heic", "heif", "jpeg")]
_PICTURES += ["image/png", "image/tiff", "image/webp"]


@extend_schema(tags=["Submissions"])
class ImageView(APIView):
    parser_classes = [MultiPartParser]
    throttle_classes = [throttling.RequestRate, throttling.UploadRate, throttling.UploadBytesRate]
    scopes = {"get": Scope.READ, "post": Scope.UPLOAD}

    def get_throttles(self) -> list[Any]:
        """A list is no upload."""
        is_upload = self.request.method == "POST"
        return super().get_throttles() if is_upload else [throttling.RequestRate()]

    @extend_schema(
        operation_id="image_upload",
        request=UploadSerializer,
        parameters=[DETECTOR, sent("Location", "As `status_url`.", 202)],
        responses={
            202: response(AcceptedSerializer, "It cannot be lost any more.", _ACCEPTED),
            400: bad_request(
                "No file, not an image, or one of a kind that is not accepted.",
                no_file={"image": ["No file was submitted."]},
                not_an_image={"image": [NOT_AN_IMAGE]},
            ),
            **errors(413, 415),
        },
    )
    def post(self, request: Request) -> Response:
        """Upload an image.

        The image is stored and queued. `status_url` says how it goes, and the websocket at
        `feed_url` publishes the outcome.
        """
        upload = UploadSerializer(data=request.data)
        upload.is_valid(raise_exception=True)
        submission = services.accept(
            upload.validated_data["image"],
            owner_id=caller.from_request(request).client_id,
            request_id=logs.context()["request"],
            detector=requested_detector(request),
        )
        status_url = f"{service_url()}/image/{submission.pk}/"
        accepted = {
            "message": "Request accepted. Starting image processing.",
            "feed_url": feed_tokens.url(caller.from_request(request)),
            "id": str(submission.pk),
            "status_url": status_url,
        }
        return Response(accepted, status=202, headers={"Location": status_url})

    @extend_schema(
        operation_id="image_list",
        parameters=[
            in_query("limit", int, "At most so many, up to 200; 50 if it is not given."),
            in_query("before", str, "Of `next`: the page behind a submission."),
            in_query("sha256", str, "Those of a file with this SHA-256 whose faces are known."),
        ],
        responses={
            200: response(SubmissionsSerializer, "A page.", {"results": [_LISTED], "next": None}),
            400: bad_request("A parameter is malformed.", {"limit": ["A valid integer is …"]}),
        },
    )
    def get(self, request: Request) -> Response:
        """The newest submissions.

        Of the caller's client; `next` leads to older ones.
        """
        query = ListQuerySerializer(data=request.query_params)
        query.is_valid(raise_exception=True)
        page = _page(caller.from_request(request).client_id, **query.validated_data)
        return Response(SubmissionsSerializer(page).data, headers=_NOT_KEPT)


def _page(owner_id: int, *, limit: int, before: str = "", sha256: str = "") -> dict[str, Any]:
    if sha256:
        return {"results": services.of_bytes(owner_id, sha256.lower(), limit), "next": None}
    microseconds, _, id = before.partition("_")
    behind = (_EPOCH + timedelta(microseconds=int(microseconds)), UUID(id)) if before else None
    found = services.newest(owner_id, limit + 1, before=behind)
    if len(found) <= limit:
        return {"results": found, "next": None}
    last = found[limit - 1]
    at = (last.created_at - _EPOCH) // timedelta(microseconds=1)
    query = urlencode({"limit": limit, "before": f"{at}_{last.pk}"})
    return {"results": found[:limit], "next": f"{service_url()}/image/?{query}"}


@extend_schema(tags=["Submissions"], parameters=[_id])
class SubmissionView(APIView):
    scopes = {"get": Scope.READ, "delete": Scope.UPLOAD}

    @extend_schema(
        operation_id="image_status",
        responses={
            200: response(
                SubmissionSerializer, "The submission.", done=_DONE, queued=_QUEUED, failed=_FAILED
            ),
            **errors(404),
        },
    )
    def get(self, request: Request, id: UUID) -> Response:
        """How a submission is going."""
        submission = _own(request, id)
        return Response(SubmissionSerializer(submission).data, headers=_NOT_KEPT)

    @extend_schema(
        operation_id="image_erase",
        responses={204: response(None, "Nothing is left of it."), **errors(404)},
    )
    def delete(self, request: Request, id: UUID) -> Response:
        """Erase a submission.

        From every store: row, files, event, job.
        """
        submission = _own(request, id)
        services.erase(submission)
        audit(caller.from_request(request).name, "erase image", str(id))
        return Response(status=204)


def _refusal(description: str, text: str) -> OpenApiResponse:
    return response({"$ref": "#/components/schemas/Detail"}, description, {"detail": text})


class _CorrectionRate(throttling.UploadRate):
    """A drawn box costs as much as an upload: the image is decoded again."""

    def cost(self, request: Request) -> int:
        return 0 if request.method == "GET" else 1


@extend_schema(tags=["Submissions"], parameters=[_id])
class FacesView(APIView):
    parser_classes = [JSONParser]
    throttle_classes = [throttling.RequestRate, _CorrectionRate]
    scopes = {"get": Scope.READ, "post": Scope.UPLOAD, "delete": Scope.UPLOAD}

    @extend_schema(
        operation_id="image_faces",
        responses={
            200: response(
                FacesSerializer, "In order.", {"status": "queued", "detector": None, "faces": []}
            ),
            **errors(404),
        },
    )
    def get(self, request: Request, id: UUID) -> Response:
        """The faces of a submission, in full.

        Each with its box, its encoding and its quality; none before it is done.
        """
        submission = _own(request, id)
        found_by = submission.analysis.detector if submission.analysis else None
        faces = services.faces(submission)
        shown = {"status": submission.status, "detector": found_by, "faces": faces}
        return Response(FacesSerializer(shown).data, headers=_NOT_KEPT)

    @extend_schema(
        operation_id="image_face_draw",
        request=body(CorrectionSerializer, {"box": FACE_EXAMPLE["box"]}),
        responses={
            201: response(DrawnFaceSerializer, "The face, behind the others.", _DRAWN),
            200: response(DrawnFaceSerializer, "It was there before.", _DRAWN),
            202: response(_PENDING, "It is still being looked at; see the submission.", _STATUS),
            400: bad_request("No box.", {"box": [ONE_OF]}),
            409: _refusal("It has no faces yet.", "The image is not processed yet."),
            422: _refusal("It cannot be done.", "The box lies outside the image."),
            **errors(404, 415),
        },
    )
    def post(self, request: Request, id: UUID) -> Response:
        """Draw a box round a face that was missed.

        The face is aligned and encoded; one that is too unclear has a box, and no numbers. With
        the number of a face that was hidden, it is shown again.
        """
        submission = _processed(request, id)
        wanted = CorrectionSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        box = wanted.validated_data.get("box") or _box(submission, wanted.validated_data["face"])
        try:
            is_new = corrections.draw(submission, box)
        except corrections.Pending:
            return _pending(submission)
        except (analysis.MarkRefused, JobError) as error:
            raise Unprocessable(str(error)) from error
        place, face = _face_at(submission, box)
        shown = DrawnFaceSerializer({**vars(face), "face": place}).data
        return Response(shown, status=201 if is_new else 200, headers=_NOT_KEPT)

    @extend_schema(
        operation_id="image_face_hide",
        request=body(FaceNumberSerializer, {"face": 0}),
        responses={
            204: response(None, "No picture shows its box any more."),
            202: response(_PENDING, "Its pictures are still being drawn.", _STATUS),
            400: bad_request("No such face.", {"face": ["The image has no such face."]}),
            409: _refusal("It has no faces yet.", "The image is not processed yet."),
            422: _refusal("It cannot be done.", "The box lies outside the image."),
            **errors(404, 415),
        },
    )
    def delete(self, request: Request, id: UUID) -> Response:
        """Hide a box that holds no face.

        On every copy of these bytes. The other faces keep their numbers.
        """
        submission = _processed(request, id)
        wanted = FaceNumberSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        try:
            corrections.hide(submission, _box(submission, wanted.validated_data["face"]))
        except corrections.Pending:
            return _pending(submission)
        except (analysis.MarkRefused, JobError) as error:
            raise Unprocessable(str(error)) from error
        return Response(status=204)


@extend_schema(tags=["Submissions"], parameters=[_id, _face])
class CropView(APIView):
    scopes = {"get": Scope.READ}
    api_path = "/image/{id}/faces/{face}/crop.jpg"

    @extend_schema(
        operation_id="image_face_crop",
        responses={
            (200, "image/jpeg"): response(OpenApiTypes.BINARY, "160 × 160 pixels."),
            **errors(404),
        },
    )
    def get(self, request: Request, id: UUID, face: str) -> HttpResponse:
        """The picture of one face, by its place among the image's faces.

        It is cut for each answer and kept nowhere.
        """
        try:
            jpeg = services.crop(_own(request, id), int(face), _CROP_PX)
        except AnalysisError as error:
            raise NotFound(str(error)) from error
        if jpeg is None:
            raise Http404
        return HttpResponse(jpeg, content_type="image/jpeg", headers=_NOT_KEPT)


@extend_schema(tags=["Submissions"], parameters=[_id, *LINK_PARAMETERS])
class OriginalView(APIView):
    authentication_classes = [LinkAuthentication]
    scopes = {"get": Scope.READ}
    api_path = "/image/{id}/original"

    @extend_schema(
        operation_id="image_original",
        responses={(200, *_PICTURES): response(OpenApiTypes.BINARY, "The image."), **errors(404)},
    )
    def get(self, request: Request, id: UUID) -> HttpResponse:
        """The image as it was uploaded.

        For its owner, or by a signed link.
        """
        return protected_files.x_accel_response(_reachable(request, id).image)


@extend_schema(
    tags=["Submissions"],
    parameters=[
        in_path("first", _HEX, _ID[:2], "The id's first two digits."),
        in_path("second", _HEX, _ID[2:4], "The id's next two digits."),
        _id,
        *LINK_PARAMETERS,
    ],
)
class ResultView(APIView):
    authentication_classes = [LinkAuthentication]
    scopes = {"get": Scope.READ}
    api_path = "/static/processed_faces/{first}/{second}/{id}.jpg"

    @extend_schema(
        operation_id="image_result",
        responses={(200, "image/jpeg"): response(OpenApiTypes.BINARY, "The image."), **errors(404)},
    )
    def get(self, request: Request, id: UUID) -> HttpResponse:
        """The image with a box round each face.

        For its owner, or by a signed link. `image_url` holds its address.
        """
        return protected_files.x_accel_response(_reachable(request, id).result)


def _own(request: Request, id: UUID) -> Submission:
    """The caller's submission; another's is answered as one that does not exist."""
    return get_object_or_404(Submission, pk=id, owner_id=caller.from_request(request).client_id)


def _processed(request: Request, id: UUID) -> Submission:
    """As `_own`, once its faces are known."""
    submission = _own(request, id)
    if submission.status != Status.DONE or submission.analysis_id is None:
        raise Conflict
    return submission


def _pending(submission: Submission) -> Response:
    status_url = f"{service_url()}/image/{submission.pk}/"
    return Response({"status_url": status_url}, status=202, headers=_NOT_KEPT)


def _box(submission: Submission, face: int) -> BoxShape:
    faces = services.event_faces(submission)
    if face >= len(faces):
        raise ValidationError({"face": ["The image has no such face."]})
    return faces[face]["box"]


def _face_at(submission: Submission, box: BoxShape) -> tuple[int, analysis.FoundFace]:
    place = analysis.face_at(submission.analysis_id or 0, box)
    faces = services.faces(submission)
    if place is None or place >= len(faces):  # taken back, or erased, in this moment
        raise Http404
    return place, faces[place]


def _reachable(request: Request, id: UUID) -> Submission:
    if caller.from_request(request).by_link:
        return get_object_or_404(Submission, pk=id)
    return _own(request, id)
