"""Encodings of images, by upload and by hash; statistics; are these two the same person?"""

from typing import Any

from django.conf import settings
from django.http.response import HttpResponseBase
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from backend.analysis.services import AnalysisError, FoundFace
from backend.clients import caller
from backend.clients.keys import audit
from backend.clients.limits import throttling
from backend.clients.models import Scope
from backend.common.http.parsers import JSONParser, MultiPartParser
from backend.common.http.upload_fields import sha256_of
from backend.face_encodings import batch, caching, serializers, services, statistics, verification
from backend.face_encodings.models import EncodedImage
from backend.face_encodings.serializers import Unusable

_UPLOAD_RATES = [throttling.RequestRate, throttling.UploadRate, throttling.UploadBytesRate]
_NOT_KEPT = {"Cache-Control": "no-store"}


class _ImagesRate(throttling.UploadRate):
    """A batch costs as much as its images one by one."""

    def cost(self, request: Request) -> int:
        return len(serializers.uploads(request)) if request.method == "POST" else 1


class GenerateView(APIView):
    parser_classes = [MultiPartParser]
    throttle_classes = _UPLOAD_RATES
    scopes = {"post": Scope.UPLOAD}

    def post(self, request: Request) -> Response:
        file, owner_id = serializers.upload(request), caller.of(request).client_id
        sha256 = sha256_of(file)
        image = services.up_to_date(owner_id, sha256)
        if image is None:
            serializers.check(file)
            (image,) = services.accept([(file, sha256)], owner_id=owner_id)
        if not _settled(image, timeout_s=settings.FACES_ANSWER_TIMEOUT_S):
            return _pending(image)
        faces = services.faces(image)
        if not faces:
            raise Unusable(serializers.NO_FACES, file_hash=image.sha256)
        return Response(serializers.as_answer(image, faces), headers=_NOT_KEPT)


class EncodingView(APIView):
    scopes = {"get": Scope.READ, "delete": Scope.UPLOAD}

    def get(self, request: Request, sha256: str) -> HttpResponseBase:
        image = _own(request, sha256)
        if not _settled(image, timeout_s=0):
            return _pending(image)
        if not image.faces_count:
            raise Unusable(serializers.NOT_FOUND, reason=serializers.NO_FACES)
        answer = caching.unchanged(request, image) or _answer(image, services.faces(image))
        return caching.mark(answer, request, image)

    def delete(self, request: Request, sha256: str) -> Response:
        """Forget the image and its encodings; 204 when nothing is left of them."""
        image = _own(request, sha256)
        services.erase([image])
        audit(caller.of(request).name, "erase encoding", f"encoded image {image.pk}")
        return Response(status=204)


class BatchView(APIView):
    parser_classes = [MultiPartParser]
    throttle_classes = [throttling.RequestRate, _ImagesRate, throttling.UploadBytesRate]
    scopes = {"post": Scope.UPLOAD}

    def post(self, request: Request) -> Response:
        files = serializers.uploads(request)
        results = batch.answers(files, owner_id=caller.of(request).client_id)
        return Response({"results": results}, headers=_NOT_KEPT)


class StatisticsView(APIView):
    scopes = {"get": Scope.READ}

    def get(self, request: Request) -> Response:
        read = statistics.read(caller.of(request).client_id)
        return Response(serializers.as_statistics(read), headers=_NOT_KEPT)


class VerifyView(APIView):
    parser_classes = [MultiPartParser, JSONParser]
    throttle_classes = _UPLOAD_RATES
    scopes = {"post": Scope.UPLOAD}

    def post(self, request: Request) -> Response:
        sides = {number: serializers.side(request, number) for number in serializers.SIDES}
        who = caller.of(request)
        if not who.may(Scope.READ) and any(kind == "hash" for kind, _ in sides.values()):
            raise PermissionDenied("This key lacks the scope 'read', which a hash needs.")
        try:
            one, two = _encodings(sides, owner_id=who.client_id)
        except verification.NoFace as error:
            raise Unusable(serializers.NO_FACES, side=error.side) from error
        except AnalysisError as error:
            raise Unusable(str(error)) from error
        return Response(verification.verdict(one, two), headers=_NOT_KEPT)


def _encodings(
    sides: dict[int, tuple[str, Any]], *, owner_id: int
) -> tuple[verification.Encoding, verification.Encoding]:
    """The encodings of both sides, whatever was sent for each."""
    uploads = {number: value for number, (kind, value) in sides.items() if kind == "image"}
    for number, file in uploads.items():
        serializers.check(file, side=number)
    found: dict[int, verification.Encoding] = {}
    for number, (kind, value) in sides.items():
        if kind == "hash":
            known = verification.of_hash(value, number, owner_id=owner_id)
            if known is None:
                raise Unusable(serializers.NOT_FOUND, side=number)
            found[number] = known
        elif kind == "encoding":
            found[number] = value
    found |= verification.of_uploads(uploads, owner_id=owner_id)
    return found[1], found[2]


def _own(request: Request, sha256: str) -> EncodedImage:
    """The caller's image; another's is answered as one that nobody sent."""
    image = services.find(caller.of(request).client_id, serializers.hash_of(sha256))
    if image is None:
        raise Unusable(serializers.NOT_FOUND)
    return image


def _settled(image: EncodedImage, *, timeout_s: float) -> bool:
    try:
        return services.settle(image, timeout_s=timeout_s)
    except AnalysisError as error:
        raise Unusable(str(error)) from error


def _pending(image: EncodedImage) -> Response:
    body = serializers.as_pending(image.sha256)
    headers = {**_NOT_KEPT, "Location": body["face_encoding_url"], "Retry-After": "1"}
    return Response(body, status=202, headers=headers)


def _answer(image: EncodedImage, faces: list[FoundFace]) -> Response:
    if not faces:  # erased just now
        raise Unusable(serializers.NOT_FOUND)
    return Response(serializers.as_answer(image, faces))
