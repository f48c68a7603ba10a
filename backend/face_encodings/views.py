"""Encodings of images, by upload and by hash; statistics; are these two the same person?"""

from functools import partial
from typing import Any, Final

from django.conf import settings
from django.http.response import HttpResponseBase
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from backend.analysis.serializers import DETECTOR, FACE_EXAMPLE, requested_detector
from backend.analysis.services import AnalysisError, FoundFace
from backend.clients import caller
from backend.clients.audit import audit
from backend.clients.limits import throttling
from backend.clients.models import Scope
from backend.common.http.parsers import JSONParser, MultiPartParser
from backend.common.http.upload_fields import sha256_of
from backend.common.openapi import (
    bad_request,
    body,
    errors,
    in_header,
    in_path,
    named,
    response,
    sent,
)
from backend.face_encodings import batch, caching, serializers, services, statistics, verification
from backend.face_encodings.models import EncodedImage
from backend.face_encodings.serializers import Unusable

_UPLOAD_RATES = [throttling.RequestRate, throttling.UploadRate, throttling.UploadBytesRate]
_NOT_KEPT = {"Cache-Control": "no-store"}


class _ImagesRate(throttling.UploadRate):
    """A batch costs as much as its images one by one."""

    def cost(self, request: Request) -> int:
        count = len(serializers.uploads(request)) if request.method == "POST" else 1
        # The view refuses more, before it looks at any.
        return count if count <= batch.MAX_IMAGES else 1


_HASH: Final = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_NUMBERS: Final = FACE_EXAMPLE["encoding"]
_ENCODED: Final = {
    "message": "OK",
    "file_hash": _HASH,
    "detector": "hog",
    "smallest_face_px": 40,
    "face_encoding": _NUMBERS,
    "faces": [FACE_EXAMPLE],
}
_PENDING: Final = {
    "message": serializers.NOT_YET,
    "file_hash": _HASH,
    "face_encoding_url": f"http://localhost:8282/face_encoding/{_HASH}",
}
_BATCH: Final = {
    "results": [
        {"status": 200, **_ENCODED},
        {"status": 422, "message": serializers.NO_FACES, "file_hash": _HASH},
    ]
}
_VERDICT: Final = {
    "distance": 0.41,
    "same_person": True,
    "threshold": 0.6,
    "false_accept_rate": {
        "at_most": 0.005333,
        "measured_at_threshold": 0.6,
        "source": "LFW's 3000 pairs of different people, as published with the model",
    },
}
_STATISTICS: Final = {"number_of_images_processed": 1, "average_face_encodings": [_NUMBERS]}
_UNREADABLE: Final = bad_request(
    "The body cannot be read, or names no detector of this service.",
    {"detail": "Multipart form parse error - Invalid boundary in multipart: None"},
)

_sha256: Final = in_path(
    "sha256", str, _HASH, "The SHA-256 of the image's bytes, in hexadecimal digits."
)
_LATER: Final = [
    sent("Location", "Where the encoding will be.", 202),
    sent("Retry-After", "Seconds to wait.", 202),
]


def _unusable(**messages: str) -> OpenApiResponse:
    examples = {name: {"message": message} for name, message in messages.items()}
    return response(serializers.UnusableSerializer, "Nothing can be made of it.", **examples)


@extend_schema(tags=["Face encodings"])
class GenerateView(APIView):
    parser_classes = [MultiPartParser]
    throttle_classes = _UPLOAD_RATES
    scopes = {"post": Scope.UPLOAD}
    api_path = "/generate_face_encoding"

    @extend_schema(
        operation_id="encode",
        request=serializers.ImageToEncodeSerializer,
        parameters=[DETECTOR, *_LATER],
        responses={
            200: response(
                serializers.EncodedSerializer, "Its faces, the first one's encoding.", _ENCODED
            ),
            202: response(serializers.PendingSerializer, "It takes longer: ask again.", _PENDING),
            400: _UNREADABLE,
            422: _unusable(no_image=serializers.NO_IMAGE, no_faces=serializers.NO_FACES),
            **errors(413),
        },
    )
    def post(self, request: Request) -> Response:
        """The encoding of an image's face.

        Waits for the result, up to `FACES_SYNC_RESPONSE_TIMEOUT_S`. The image itself is not kept.
        """
        file, owner_id = serializers.upload(request), caller.from_request(request).client_id
        sha256, detector = sha256_of(file), requested_detector(request)
        image = services.up_to_date(owner_id, sha256, detector)
        if image is None:
            serializers.check(file)
            (image,) = services.accept([(file, sha256)], owner_id=owner_id, detector=detector)
        if not _completed(image, timeout_s=settings.FACES_SYNC_RESPONSE_TIMEOUT_S):
            return _pending(image)
        faces = services.faces(image)
        if not faces:
            raise Unusable(serializers.NO_FACES, **serializers.searched(image))
        return Response(serializers.as_answer(image, faces), headers=_NOT_KEPT)


@extend_schema(tags=["Face encodings"], parameters=[_sha256])
class EncodingView(APIView):
    scopes = {"get": Scope.READ, "delete": Scope.UPLOAD}
    api_path = "/face_encoding/{sha256}"

    @extend_schema(
        operation_id="encoding",
        parameters=[
            DETECTOR,
            in_header("If-None-Match", "304 if the answer has this `ETag`."),
            in_header("If-Match", "412 unless the answer has this `ETag`."),
            *_LATER,
            sent("ETag", "A strong validator.", 200),
            sent("Cache-Control", "Which caches may store it.", 200),
        ],
        responses={
            200: response(serializers.EncodedSerializer, "Its faces.", _ENCODED),
            202: response(serializers.PendingSerializer, "Not yet.", _PENDING),
            304: response(None, "The caller has it already."),
            400: bad_request("No detector of this service.", {"detector": ["…"]}),
            412: response(named("Detail"), "It is another one.", {"detail": caching.OTHER}),
            422: _unusable(not_found=serializers.NOT_FOUND),
        },
    )
    def get(self, request: Request, sha256: str) -> HttpResponseBase:
        """The encoding of an image that was sent before."""
        image = _own(request, sha256)
        if not _completed(image, timeout_s=0):
            return _pending(image)
        if not image.faces_count:
            raise Unusable(serializers.NOT_FOUND, reason=serializers.NO_FACES)
        answer = caching.unchanged(request, image) or _answer(image, services.faces(image))
        return caching.mark(answer, request, image)

    @extend_schema(
        operation_id="encoding_erase",
        responses={
            204: response(None, "Nothing is left of them."),
            422: _unusable(not_found=serializers.NOT_FOUND),
        },
    )
    def delete(self, request: Request, sha256: str) -> Response:
        """Erase an image and its encodings, by whichever detectors they are."""
        image = _own(request, sha256)
        services.erase(services.all_of(image.owner_id, image.sha256))
        audit(caller.from_request(request).name, "erase encoding", f"encoded image {image.pk}")
        return Response(status=204)


@extend_schema(tags=["Face encodings"])
class BatchView(APIView):
    parser_classes = [MultiPartParser]
    throttle_classes = [throttling.RequestRate, _ImagesRate, throttling.UploadBytesRate]
    scopes = {"post": Scope.UPLOAD}
    api_path = "/face_encodings/batch"

    @extend_schema(
        operation_id="encode_batch",
        request=serializers.ImagesToEncodeSerializer,
        parameters=[DETECTOR],
        responses={
            200: response(serializers.BatchSerializer, "A result for each.", _BATCH),
            400: _UNREADABLE,
            422: _unusable(no_image=serializers.NO_IMAGE, many="At most 32 images at a time."),
            **errors(413),
        },
    )
    def post(self, request: Request) -> Response:
        """The encodings of several images.

        A result for each, in the order sent; an image that cannot be used does not affect others.
        """
        files = serializers.uploads(request)
        results = batch.answers(
            files,
            owner_id=caller.from_request(request).client_id,
            detector=requested_detector(request),
        )
        return Response({"results": results}, headers=_NOT_KEPT)


@extend_schema(tags=["Face encodings"])
class StatisticsView(APIView):
    scopes = {"get": Scope.READ}

    @extend_schema(
        operation_id="statistics",
        responses={
            200: response(serializers.StatisticsSerializer, "Of the caller's images.", _STATISTICS)
        },
    )
    def get(self, request: Request) -> Response:
        """How many images had a face, and the mean of their first encodings."""
        read = statistics.read(caller.from_request(request).client_id)
        return Response(serializers.StatisticsSerializer(read).data, headers=_NOT_KEPT)


@extend_schema(tags=["Face encodings"])
class VerifyView(APIView):
    parser_classes = [MultiPartParser, JSONParser]
    throttle_classes = _UPLOAD_RATES
    scopes = {"post": Scope.UPLOAD}
    api_path = "/verify"

    @extend_schema(
        operation_id="verify",
        parameters=[DETECTOR],
        request={
            "multipart/form-data": serializers.SidesFormSerializer,
            "application/json": body(
                serializers.SidesSerializer, {"hash_1": _HASH, "encoding_2": _NUMBERS}
            ),
        },
        responses={
            200: response(serializers.VerdictSerializer, "The verdict.", _VERDICT),
            400: bad_request(
                "A side is missing, or is not what its field says.",
                {"image_1": ["Send one of image_1, hash_1, encoding_1."]},
            ),
            422: _unusable(no_faces=serializers.NO_FACES, not_found=serializers.NOT_FOUND),
            **errors(413, 415),
        },
    )
    def post(self, request: Request) -> Response:
        """Are these two the same person?

        Each side is an image, the hash of one that was sent before (which needs the scope `read` as
        well), or an encoding. Compared is the first face of each; with `faces=all` every face with
        every other, and the verdict is of the nearest `pair`.
        """
        form = serializers.SidesFormSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        sides: dict[int, tuple[str, Any]] = form.validated_data
        client = caller.from_request(request)
        if not client.may(Scope.READ) and any(kind == "hash" for kind, _ in sides.values()):
            raise PermissionDenied("This key lacks the scope 'read', which a hash needs.")
        try:
            every = isinstance(request.data, dict) and request.data.get("faces") == "all"
            ones, twos = _faces(sides, client.client_id, requested_detector(request), every)
        except verification.NoFace as error:
            raise Unusable(serializers.NO_FACES, side=error.side) from error
        except AnalysisError as error:
            raise Unusable(str(error)) from error
        model = ones[0].model
        first = partial(verification.verdict, ones[0].encoding, twos[0].encoding, model=model)
        verdict = verification.verdict_of_all(ones, twos) if every else first()
        return Response(serializers.VerdictSerializer(verdict).data, headers=_NOT_KEPT)


def _faces(
    sides: dict[int, tuple[str, Any]], owner_id: int, detector: str, every: bool
) -> tuple[list[verification.SideFace], list[verification.SideFace]]:
    """The faces of both sides, whatever was sent for each: the first, or every one."""
    uploads = {number: value for number, (kind, value) in sides.items() if kind == "image"}
    for number, file in uploads.items():
        serializers.check(file, side=number)
    options: dict[str, Any] = {"owner_id": owner_id, "detector": detector, "every": every}
    found: dict[int, list[verification.SideFace]] = {}
    for number, (kind, value) in sides.items():
        if kind == "hash":
            known = verification.of_hash(value, number, **options)
            if known is None:
                raise Unusable(serializers.NOT_FOUND, side=number)
            found[number] = known
        elif kind == "encoding":
            numbers, model = value
            found[number] = [verification.SideFace(numbers, model=model)]
    found |= verification.of_uploads(uploads, **options)
    _refuse_two_models(found, {number: kind for number, (kind, _) in sides.items()})
    return found[1], found[2]


def _refuse_two_models(
    found: dict[int, list[verification.SideFace]], kinds: dict[int, str]
) -> None:
    one, other = found[1][0].model, found[2][0].model
    if one != other:
        text = f"Encodings of two models cannot be compared: side 1 is of {one}, side 2 of {other}."
        raise ValidationError({f"{kinds[2]}_2": [text]})


def _own(request: Request, sha256: str) -> EncodedImage:
    """The caller's image; another client's is answered like an unknown hash."""
    owner_id, detector = caller.from_request(request).client_id, requested_detector(request)
    image = services.find(owner_id, serializers.hash_of(sha256), detector)
    if image is None:
        raise Unusable(serializers.NOT_FOUND)
    return image


def _completed(image: EncodedImage, *, timeout_s: float) -> bool:
    try:
        return services.complete(image, timeout_s=timeout_s)
    except AnalysisError as error:
        raise Unusable(str(error)) from error


def _pending(image: EncodedImage) -> Response:
    pending = serializers.as_pending(image)
    headers = {**_NOT_KEPT, "Location": pending["face_encoding_url"], "Retry-After": "1"}
    return Response(pending, status=202, headers=headers)


def _answer(image: EncodedImage, faces: list[FoundFace]) -> Response:
    if not faces:  # erased just now
        raise Unusable(serializers.NOT_FOUND)
    return Response(serializers.as_answer(image, faces))
