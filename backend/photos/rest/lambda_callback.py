"""The endpoints of the Lambda function: the picture of a source, and its result."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import IO, Any, Final

from django.http import Http404, HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import ParseError, PermissionDenied, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from backend.analysis.serializers import FaceEncodingField
from backend.clients import caller
from backend.clients.auth.authentication import BAD_LINK, LinkAuthentication
from backend.clients.caller import Caller
from backend.clients.limits import throttling
from backend.clients.models import Scope
from backend.common.http import protected_files
from backend.common.http.errors import TooLarge
from backend.common.http.parsers import JSONParser
from backend.common.metrics import registry
from backend.common.openapi import (
    LINK_PARAMETERS,
    BoxSerializer,
    bad_request,
    body,
    errors,
    in_header,
    in_path,
    response,
)
from backend.photos.extraction.aws_lambda import callback
from backend.photos.extraction.aws_lambda.callback import Refusal
from backend.photos.extraction.aws_lambda.submission import SUBMITTED, Source
from backend.photos.models import Extraction
from wire.facedetection import (
    MAX_CALLBACK_BYTES,
    NOT_PROCESSING,
    ShapeError,
    SourceType,
    read_callback,
)

WRONG_TOKEN = "The token is not that of the last submission."

_SOURCE: Final = [
    in_path("type", {"enum": list(SourceType)}, "photo"),
    in_path("pk", {"type": "string", "pattern": "^[0-9]{1,18}$"}, "7", "The source's key."),
]
_REFUSED: Final = bad_request(
    "The body cannot be used, or nothing is being processed.",
    not_processing={"detail": NOT_PROCESSING},
    bad_body={"encodings": ["Send a list of encodings."]},
)


class TakenSerializer(serializers.Serializer[Any]):
    status = serializers.CharField()


class BoxedSerializer(serializers.Serializer[Any]):
    box = BoxSerializer()


class CallbackSerializer(serializers.Serializer[Any]):
    """Documents the body; `read_callback`, which the function shares, reads it."""

    token = serializers.CharField()
    encodings = serializers.ListField(child=FaceEncodingField())
    faces = BoxedSerializer(many=True, required=False, help_text="As `encodings`, with boxes.")
    model = serializers.CharField(required=False)
    error = serializers.DictField(required=False, help_text="Why there is no result.")


class TokenAuthentication(BaseAuthentication):
    """No key is needed: the body, or the Authorization header of a GET, holds the token."""

    def authenticate(self, request: Request) -> tuple[None, Caller]:
        return None, Caller(client_id=0, scopes=frozenset({Scope.UPLOAD, Scope.READ}), by_link=True)

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class BoundedJSONParser(JSONParser):
    """JSON of a bounded size."""

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        text = stream.read(MAX_CALLBACK_BYTES + 1)
        if len(text) > MAX_CALLBACK_BYTES:
            raise TooLarge(f"At most {MAX_CALLBACK_BYTES} bytes are taken.")
        return super().parse(io.BytesIO(text), media_type, parser_context)


class EncodingsView(APIView):
    """`POST /api/facedetection/encodings/{photo,reference}/PK/`: the contract's callback.

    Requests with a valid token are not throttled, because a burst of functions would stop itself;
    refused ones are counted.
    """

    authentication_classes = [TokenAuthentication]
    parser_classes = [BoundedJSONParser]
    throttle_classes = []
    scopes = {"get": Scope.READ, "post": Scope.UPLOAD}
    # A bound for nginx, because the callback needs no key.
    max_body_bytes = MAX_CALLBACK_BYTES

    @extend_schema(
        operation_id="extraction_wanted",
        tags=["Photos"],
        parameters=[*_SOURCE, in_header("Authorization", "`Bearer` and the source's token.")],
        responses={
            200: response(TakenSerializer, "It is.", {"status": "processing"}),
            400: _REFUSED,
            **errors(403, 404, 406, 429, 503),
        },
    )
    def get(self, request: Request, type: str, pk: str) -> Response:
        """Is a result wanted?

        For the extraction: its token stands in `Authorization: Bearer TOKEN`.
        """
        source = _found(request, type, pk)
        _, _, token = request.headers.get("Authorization", "").partition(" ")
        _check(request, source, token)
        return Response({"status": source.extraction}, headers={"Cache-Control": "no-store"})

    @extend_schema(
        operation_id="extraction_result",
        tags=["Photos"],
        parameters=_SOURCE,
        request=body(CallbackSerializer, {"token": "…", "encodings": []}),
        responses={
            200: response(TakenSerializer, "Taken.", {"status": "ok"}),
            400: _REFUSED,
            **errors(403, 404, 406, 413, 415, 429, 503),
        },
    )
    def post(self, request: Request, type: str, pk: str) -> Response:
        """The faces of a photo or reference.

        For the extraction: the token that it was given is part of the body.
        """
        source = _found(request, type, pk)
        try:
            result = read_callback(request.data)
            callback.check_model(result)
        except ShapeError as error:
            _refused(request)
            raise ValidationError({error.field or "detail": [error.message]}) from error
        except ParseError:
            _refused(request)
            raise
        _check(request, source, result["token"])
        if not callback.record(source, result):
            _refused(request)
            raise ParseError(NOT_PROCESSING)
        return Response({"status": "ok"})


class SourceView(APIView):
    """The picture that the function downloads, by a signed link, while it is being processed."""

    authentication_classes = [LinkAuthentication]
    scopes = {"get": Scope.READ}

    @extend_schema(
        operation_id="extraction_source",
        tags=["Photos"],
        parameters=[*_SOURCE, *LINK_PARAMETERS],
        responses={
            (200, "image/jpeg"): response(OpenApiTypes.BINARY, "The picture."),
            **errors(404),
        },
    )
    def get(self, request: Request, type: str, pk: str) -> HttpResponse:
        """The picture of a photo or reference, for its extraction."""
        if not caller.from_request(request).by_link:
            raise PermissionDenied(BAD_LINK)
        source = callback.find(SourceType(type), int(pk))
        if source is None or source.extraction != Extraction.PROCESSING:
            raise Http404
        response = protected_files.x_accel_response(source.file)
        response["Cache-Control"] = "no-store"
        return response


def _found(request: Request, type: str, pk: str) -> Source:
    source = callback.find(SourceType(type), int(pk))
    if source is None:
        _refused(request)
        raise Http404
    return source


def _check(request: Request, source: Source, token: str) -> None:
    refusal = callback.refusal(source, token)
    if refusal is not None:
        _refused(request)
    if refusal is Refusal.WRONG_TOKEN:
        raise PermissionDenied(WRONG_TOKEN)
    if refusal is Refusal.NOT_PROCESSING:
        raise ParseError(NOT_PROCESSING)


def _refused(request: Request) -> None:
    """Count a refused request for its address; raises `Throttled` beyond the limit."""
    registry.count(SUBMITTED, outcome="refused")
    throttling.count_refused(request)
