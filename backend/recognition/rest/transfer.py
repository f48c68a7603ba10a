"""Export and import of a user."""

from __future__ import annotations

import gzip
import tempfile
from collections.abc import Mapping
from typing import IO, Any, Final

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.http import FileResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from backend.clients import caller
from backend.clients.audit import audit
from backend.clients.limits import throttling
from backend.common.http import admission
from backend.common.http.errors import TooLarge, Unavailable
from backend.common.http.parsers import MultiPartParser
from backend.common.jobs.models import Status
from backend.common.openapi import bad_request, errors, in_query, response, sent
from backend.recognition.models import User
from backend.recognition.operations import imports, service
from backend.recognition.rest import serializers as shapes
from backend.recognition.rest.base import (
    FILE,
    NO_STORE,
    USER_ID,
    Conflict,
    GalleryView,
    Unprocessable,
    detail,
    form,
    number,
    values,
)
from backend.recognition.rest.operations import CALL, accepted
from backend.recognition.transfer import exporter, importer
from backend.recognition.transfer.jsonl import Unreadable

_IN_MEMORY_BYTES: Final = 4 << 20
_ONE_FILE: Final = {"file": ["Send one exported user."]}
_NOT_EMPTY: Final = "The user has faces already, or calls that have not ended."
_IMPORTED: Final = {"contacts": 1, "faces": 1, "feedback": 0, "ids": {"31": 12}}


@extend_schema(tags=["Recognition"], parameters=[USER_ID])
class ExportView(GalleryView):
    throttle_classes = [throttling.RequestRate, throttling.UploadRate]

    @extend_schema(
        operation_id="export_user",
        parameters=[in_query("compress", {"enum": ["gzip"]}, "Compressed.")],
        responses={
            (200, "application/jsonl"): response(OpenApiTypes.BINARY, "The user."),
            (200, "application/gzip"): response(OpenApiTypes.BINARY, "The user, compressed."),
            400: bad_request("Unknown.", {"compress": ['"zip" is not a valid choice.']}),
            **errors(404),
        },
    )
    def get(self, request: Request, user_id: str) -> FileResponse:
        """A user as JSON Lines."""
        compress = values(shapes.ExportInput(data=request.query_params)).get("compress")
        user = self.user(user_id)
        if self.pending:
            raise Unavailable("Calls on this user have not taken effect yet. Please try again.")
        audit(caller.from_request(request).name, "recognition: export", f"user {user.pk}")
        return FileResponse(
            _exported(user, compress=bool(compress)),
            as_attachment=True,
            filename=f"user-{user.user_id}.jsonl{'.gz' if compress else ''}",
            content_type="application/gzip" if compress else "application/jsonl",
            headers=NO_STORE,
        )


@extend_schema(tags=["Recognition"], parameters=[USER_ID])
class ImportView(GalleryView):
    parser_classes = [MultiPartParser]
    throttle_classes = [throttling.RequestRate, throttling.UploadRate, throttling.UploadBytesRate]

    @extend_schema(
        operation_id="import_user",
        request={"multipart/form-data": form("file", file=FILE)},
        parameters=[
            sent("Location", "The call.", 202),
            sent("Retry-After", "Seconds to wait.", 202),
        ],
        responses={
            201: response(shapes.IMPORTED, "Stored.", _IMPORTED),
            202: response(
                shapes.CallSerializer,
                "A large file takes longer: poll it. Its `result` is what 201 answers.",
                {**CALL, "kind": "import"},
            ),
            400: bad_request("No file, or one that is no export.", _ONE_FILE),
            409: detail("There is something already.", _NOT_EMPTY),
            422: detail("There is no result.", "The call was erased in the meantime."),
            **errors(404, 413, 415),
        },
    )
    def post(self, request: Request, user_id: str) -> Response:
        """Store an exported user, as one that has no faces."""
        files, client = request.FILES.getlist("file"), caller.from_request(request)
        if len(files) != 1:
            raise ValidationError(_ONE_FILE)
        if files[0].size > settings.FACES_MAX_UPLOAD_BYTES:
            raise TooLarge(f"At most {settings.FACES_MAX_UPLOAD_BYTES} bytes are accepted.")
        where = {"owner_id": client.client_id, "user_id": number(user_id)}
        try:
            if not importer.is_small(files[0].file):
                return _imported_by_worker(files[0], client.name, where)
            stored = importer.read(files[0].file, **where)
        except Unreadable as error:
            raise ValidationError({"file": [str(error)]}) from error
        except importer.NotEmpty:
            raise Conflict(_NOT_EMPTY) from None
        audit(client.name, "recognition: import", f"{stored.faces} faces")
        return Response(vars(stored), status=201, headers=NO_STORE)


def _imported_by_worker(file: UploadedFile[Any], client: str, where: Mapping[str, int]) -> Response:
    with admission.blocking_wait_slot() as may_wait:
        operation = imports.begin(file, **where)
        audit(client, "recognition: import", f"operation {operation.pk}")
        timeout_s = settings.FACES_SYNC_RESPONSE_TIMEOUT_S if may_wait else 0.0
        try:
            service.wait(operation, timeout_s=timeout_s)
        except service.CallFailed as error:
            raise Unprocessable(str(error)) from error
    if not operation.has_ended and service.follow(operation):
        return accepted(operation)
    if operation.status == Status.DONE:
        headers = {**NO_STORE, "Operation-Id": str(operation.pk)}
        return Response(operation.result, status=201, headers=headers)
    if imports.is_unreadable(operation):
        raise ValidationError({"file": [operation.reason]})
    raise Unprocessable(operation.reason)


def _exported(user: User, *, compress: bool) -> IO[bytes]:
    # Complete before the first byte is sent, so that a slow reader blocks no change.
    plain = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115  # the answer's
    exporter.write(user, plain)
    plain.seek(0)
    if not compress:
        return plain
    with plain:
        packed = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115
        with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=1, mtime=0) as file:
            while block := plain.read(1 << 20):
                file.write(block)
    packed.seek(0)
    return packed
