"""What goes beyond single calls: feedback and quality, export and import, search, re-embedding."""

from __future__ import annotations

import gzip
import tempfile
from typing import IO, Any, ClassVar, Final
from uuid import UUID

from django.conf import settings
from django.core.files.base import File
from django.http import FileResponse, Http404
from rest_framework.exceptions import APIException, NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from backend.analysis.fields import checked
from backend.analysis.services import AnalysisError
from backend.clients import caller
from backend.clients.audit import audit
from backend.clients.limits import throttling
from backend.clients.models import Scope
from backend.common.http import admission
from backend.common.http.errors import TooLarge, Unavailable
from backend.common.http.parsers import JSONParser, MultiPartParser
from backend.recognition.gallery import feedback, reembedding, search
from backend.recognition.gallery import probe as probes
from backend.recognition.models import Face, Feedback, User
from backend.recognition.operations import results, service
from backend.recognition.rest import serializers
from backend.recognition.transfer import exporter, importer
from backend.recognition.transfer.jsonl import Unreadable

_NOT_KEPT: Final = {"Cache-Control": "no-store"}
_MATCHES: Final = 3
_IN_MEMORY_BYTES: Final = 4 << 20


class _Conflict(APIException):
    status_code = 409


class _Unusable(APIException):
    status_code = 422


class _View(APIView):
    scopes: ClassVar[dict[str, str]] = dict.fromkeys(("get", "post"), Scope.RECOGNISE)

    def user(self, user_id: str) -> User:
        """The caller's user; another's is answered as one that does not exist."""
        owner_id = caller.from_request(self.request).client_id
        user = service.find_user(owner_id, serializers.number(user_id))
        if user is None or not user.exists:
            raise Http404
        return user


class FeedbackView(_View):
    def post(self, request: Request, user_id: str, answer_id: UUID) -> Response:
        """Was it right? `{"right": true}`, `{"right": false}`, or who it was: `{"contact_id": 7}`,
        null for nobody whom the user knows."""
        said, owner_id = _said(request), caller.from_request(request).client_id
        try:
            noted = feedback.note(owner_id, serializers.number(user_id), answer_id, said)
        except feedback.NoSuchAnswer:
            raise NotFound("The user got no such answer, or it is kept no longer.") from None
        except feedback.NoSuchContact:
            message = "The user has no such contact."
            raise ValidationError({"contact_id": [message]}) from None
        return Response(_as_feedback(noted), headers=_NOT_KEPT)


class QualityView(_View):
    def get(self, request: Request, user_id: str) -> Response:
        return Response(feedback.quality(self.user(user_id)), headers=_NOT_KEPT)


class ReembeddingView(_View):
    def get(self, request: Request, user_id: str) -> Response:
        return Response(reembedding.progress(self.user(user_id)), headers=_NOT_KEPT)


class ExportView(_View):
    throttle_classes = [throttling.RequestRate, throttling.UploadRate]

    def get(self, request: Request, user_id: str) -> FileResponse:
        """The user as JSON Lines; with `?compress=gzip` compressed."""
        user, compress = self.user(user_id), request.GET.get("compress", "")
        if compress not in ("", "gzip"):
            raise ValidationError({"compress": ["Only gzip is known."]})
        _settle(user)
        audit(caller.from_request(request).name, "recognition: export", f"user {user.pk}")
        name = f"user-{user.user_id}.jsonl{'.gz' if compress else ''}"
        kind = "application/gzip" if compress else "application/jsonl"
        file = _exported(user, compress=bool(compress))
        return FileResponse(
            file, as_attachment=True, filename=name, content_type=kind, headers=_NOT_KEPT
        )


class ImportView(_View):
    parser_classes = [MultiPartParser]
    throttle_classes = [throttling.RequestRate, throttling.UploadRate, throttling.UploadBytesRate]

    def post(self, request: Request, user_id: str) -> Response:
        """Store an exported user, `file`, as this one, who must have no faces."""
        files, who = request.FILES.getlist("file"), caller.from_request(request)
        if len(files) != 1:
            raise ValidationError({"file": ["Send one exported user."]})
        if files[0].size > settings.FACES_MAX_UPLOAD_BYTES:
            raise TooLarge(f"At most {settings.FACES_MAX_UPLOAD_BYTES} bytes are accepted.")
        number = serializers.number(user_id)
        try:
            stored = importer.read(files[0].file, owner_id=who.client_id, user_id=number)
        except Unreadable as error:
            raise ValidationError({"file": [str(error)]}) from error
        except importer.NotEmpty:
            raise _Conflict("The user has faces already, or calls that have not ended.") from None
        audit(who.name, "recognition: import", f"{stored.faces} faces")
        return Response(vars(stored), status=201, headers=_NOT_KEPT)


class SearchView(_View):
    parser_classes = [JSONParser, MultiPartParser]
    throttle_classes = [throttling.RequestRate, throttling.UploadRate, throttling.UploadBytesRate]

    def post(self, request: Request) -> Response:
        """Whose face is it, of all contacts of all users? `image`, or an `encoding`."""
        limit = _limit(request)
        probe = _probe(request)
        if probe is None:  # no face in the image, as in the contract
            return Response({"matches": None}, headers=_NOT_KEPT)
        found = search.best(
            caller.from_request(request).client_id, probe.encoding, model=probe.model, at_most=limit
        )
        return Response({"matches": _as_matches(found)}, headers=_NOT_KEPT)


def _settle(user: User) -> None:
    """Wait for the calls that were accepted before."""
    with admission.blocking_wait_slot() as may_wait:
        timeout_s = settings.FACES_ANSWER_TIMEOUT_S if may_wait else 0.0
        try:
            waiting = service.settle(user, timeout_s=timeout_s)
        except service.CallFailed:  # erased meanwhile, and the user with it
            raise Http404 from None
    if waiting:
        raise Unavailable("Calls on this user have not taken effect yet. Please try again.")


def _exported(user: User, *, compress: bool) -> IO[bytes]:
    # All of it before the first byte goes out: who reads slowly must not hold up who changes it.
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


def _said(request: Request) -> feedback.Said:
    data = request.data if isinstance(request.data, dict) else {}
    if ("right" in data) == ("contact_id" in data):
        raise ValidationError({"right": ["Send right, true or false, or the true contact_id."]})
    if "right" in data:
        if type(data["right"]) is not bool:
            raise ValidationError({"right": ["Send true or false."]})
        return feedback.Said(is_right=data["right"])
    contact_id = data["contact_id"]
    if contact_id is not None and type(contact_id) is not int:
        raise ValidationError({"contact_id": ["Send an integer, or null for nobody."]})
    return feedback.Said(is_contact_given=True, contact_id=contact_id)


def _as_feedback(noted: Feedback) -> dict[str, Any]:
    return {
        "answer_id": str(noted.answer_id),
        "right": noted.is_right,
        "named": noted.named and noted.named.contact_id,
        "truth_known": noted.is_truth_known,
        "truth": noted.truth and noted.truth.contact_id,
    }


def _limit(request: Request) -> int:
    data = request.data if isinstance(request.data, dict) else {}
    value = data.get("limit", _MATCHES)
    text = str(value)
    if isinstance(value, bool) or not text.isascii() or not text.isdecimal() or len(text) > 4:
        raise ValidationError({"limit": [f"Send a number from 1 to {search.MOST}."]})
    if not 1 <= int(text) <= search.MOST:
        raise ValidationError({"limit": [f"Send a number from 1 to {search.MOST}."]})
    return int(text)


def _probe(request: Request) -> probes.Probe | None:
    data = request.data if isinstance(request.data, dict) else {}
    if data.get("encoding") is not None:
        return probes.from_encoding(_encoding(data["encoding"]))
    image = serializers.image(request) if data.get("image") is not None else None
    if image is None:
        raise ValidationError({"image": ["Send an image, or an encoding."]})
    if not isinstance(image, bytes | File):
        raise ValidationError({"image": ["Send one file."]})
    try:
        return probes.from_image(image)
    except AnalysisError as error:
        raise _Unusable(str(error)) from error


def _encoding(value: Any) -> list[float]:
    is_list = isinstance(value, list) and all(type(each) in (int, float) for each in value)
    try:
        found: list[float] = checked(value if is_list else []).tolist()
    except (ValueError, OverflowError):
        raise ValidationError({"encoding": ["Send a list of 128 numbers."]}) from None
    return found


def _as_matches(found: list[search.Match]) -> list[dict[str, Any]]:
    ids = [match.face for match in found]
    rows = Face.objects.select_related("contact", "user").in_bulk(ids)
    return [
        {
            **results.structure(
                face, user_id=face.user.user_id, contact_id=face.contact.contact_id
            ),
            "name": face.contact.name,
            "recognition_confidence": match.confidence,
            "distance": match.distance,
        }
        for match in found
        if (face := rows.get(match.face)) is not None
    ]
