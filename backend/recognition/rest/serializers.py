"""What calls look like over HTTP."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.core.files.base import File
from django.http import Http404, QueryDict
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from backend.common.jobs.models import Status
from backend.recognition.contract import INTEGERS
from backend.recognition.models import READING, Contact, Operation, User
from backend.recognition.operations import events, service

_FIELDS: Final = ("face_id", "score", "external_id")
_MOST: Final = 1000
"""Faces of one page, for who asks for pages."""

Body = dict[str, Any]


def number(text: str) -> int:
    """A number of the address; where it cannot be stored, there is nothing at the address."""
    if len(text) > 20 or int(text) not in INTEGERS:
        raise Http404
    return int(text)


def images_count(request: Request) -> int:
    """How many images the request brings or names: so much it costs."""
    try:
        return max(1, len(faces(request)))
    except ValidationError:  # the view says so
        return 1


def faces(request: Request) -> list[Any]:
    """The array of a call: JSON, or a form whose `faces` is JSON and whose files are the images.

    In JSON `image` holds the bytes in base64; in a form, the name of the part that is the image.
    A form without `faces` is one face.
    """
    data = request.data
    if isinstance(data, QueryDict):
        return _of_form(data, request.FILES)
    array = data.get("faces") if isinstance(data, Mapping) else data
    return [_decoded(face) for face in _array(array)]


def image(request: Request) -> Any:
    """What is to be recognised: the bytes of `image`, or `face_url`."""
    data = request.data if isinstance(request.data, Mapping) else {}
    sent = data.getlist("image") if isinstance(data, QueryDict) else [data.get("image")]
    sent = [each for each in sent if each is not None]
    if len(sent) > 1 or sent and data.get("face_url"):
        raise ValidationError({"image": ["Send one image, or one face_url."]})
    if not sent:
        if not data.get("face_url"):
            raise ValidationError({"face_url": ["Give a URL here, or the bytes as image."]})
        return data["face_url"]
    if isinstance(sent[0], str) and not isinstance(data, QueryDict):
        return _bytes(sent[0])
    return sent[0]


def field(request: Request, name: str) -> Any:
    """A field of the JSON body; None where it is not there."""
    return request.data.get(name) if isinstance(request.data, Mapping) else None


def page(request: Request) -> tuple[int, int] | None:
    """`after` which id, and how many (`limit`); None for who asks for no page: they get all."""
    given = {name: request.query_params.get(name) for name in ("after", "limit")}
    if given["after"] is None and given["limit"] is None:
        return None
    after = _natural(given["after"] or "0", "after", at_most=INTEGERS[-1])
    return after, max(1, _natural(given["limit"] or str(_MOST), "limit", at_most=_MOST))


def as_user(user: User) -> Body:
    return {
        "user_id": user.user_id,
        "created_at": user.created_at.isoformat(),
        "contacts_count": user.contacts.count(),
        "faces_count": user.faces.count(),
    }


def as_contact(contact: Contact, *, faces_count: int) -> Body:
    return {
        "contact_id": contact.contact_id,
        "name": contact.name,
        "created_at": contact.created_at.isoformat(),
        "faces_count": faces_count,
    }


def as_operation(operation: Operation) -> Body:
    """The resource of a call: how it is, and once it has ended, what it answered."""
    ended = operation.processed_at
    return {
        "operation_id": str(operation.pk),
        "operation_url": events.url(operation),
        "user_id": operation.user.user_id,
        "kind": operation.kind,
        "status": operation.status,
        "created_at": operation.created_at.isoformat(),
        "processed_at": ended.isoformat() if ended else None,
        "reason": operation.reason or None,
        "result": result(operation) if operation.has_ended else None,
    }


def result(operation: Operation) -> Any:
    """What the function of this call returns; None also where it came to nothing."""
    if operation.status == Status.FAILED and not (operation.result or {}).get("error"):
        return None
    if operation.kind in READING:
        return service.recognised(operation) if operation.status == Status.DONE else None
    return service.changes(operation)


def _of_form(data: QueryDict, files: Mapping[str, File[Any]]) -> list[Any]:
    text = data.get("faces")
    if text is None:
        return [_of_fields(data, files)]
    try:
        array = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        raise ValidationError({"faces": ["This is no JSON."]}) from None
    return [_with_part(face, files) for face in _array(array)]


def _of_fields(data: QueryDict, files: Mapping[str, File[Any]]) -> Body:
    found: Body = {}
    for name in _FIELDS:
        if data.get(name):
            try:
                found[name] = json.loads(str(data[name])[:40])
            except ValueError:
                raise ValidationError({name: ["A valid number is required."]}) from None
    if "face_url" in data:
        found["face_url"] = data["face_url"]
    if "image" in files:
        found["image"] = files["image"]
    return found


def _with_part(face: Any, files: Mapping[str, File[Any]]) -> Any:
    if not isinstance(face, dict) or face.get("image") is None:
        return face
    if not isinstance(face["image"], str) or face["image"] not in files:
        raise ValidationError({"image": ["There is no part of this name in the form."]})
    return {**face, "image": files[face["image"]]}


def _decoded(face: Any) -> Any:
    if not isinstance(face, dict) or face.get("image") is None:
        return face
    return {**face, "image": _bytes(face["image"])}


def _bytes(text: Any) -> bytes:
    try:
        if isinstance(text, str):
            return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        pass
    raise ValidationError({"image": ["Send the bytes of the image in base64."]})


def _array(value: Any) -> Sequence[Any]:
    if not isinstance(value, list):
        raise ValidationError({"faces": ["Expected a list of faces."]})
    return value


def _natural(text: str, name: str, *, at_most: int) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 19 and int(text) <= at_most):
        raise ValidationError({name: [f"A number up to {at_most} is required."]})
    return int(text)
