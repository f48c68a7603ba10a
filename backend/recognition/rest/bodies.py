"""Faces and images of a request, as JSON or as a form; the commands validate them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.http import QueryDict
from rest_framework.request import Request

from backend.common import bounded_json
from backend.common.http import base64_text
from backend.common.http.errors import TooLarge
from backend.recognition.contract import InvalidInput

_FIELDS: Final = ("face_id", "score", "external_id", "face")

_OPTIONS: Final = ("faces", "min_confidence", "limit", "submission", "face")
_NUMBERS: Final = ("min_confidence", "limit", "face")


def field(request: Request, name: str) -> Any:
    """A field of the JSON body; None where it is missing."""
    return request.data.get(name) if isinstance(request.data, Mapping) else None


def fields(request: Request, *names: str) -> dict[str, Any]:
    """Those of the fields that the JSON body has."""
    given = request.data if isinstance(request.data, Mapping) else {}
    return {name: given[name] for name in names if name in given}


def faces(request: Request) -> list[Any]:
    """The faces of a body.

    In JSON `image` holds the bytes as text (`base64_text`). In a form `faces` is a JSON array,
    whose `image` names the part that is the image; a form without `faces` is one face.
    """
    parts = request.data if isinstance(request.data, QueryDict) else None
    return [_with_image(face, parts) for face in _array(request)]


def images_count(request: Request) -> int:
    """How many images the request has, for its rate: at least one."""
    try:
        return max(1, len(_array(request)))
    except InvalidInput:  # the view answers it
        return 1


def options(request: Request) -> dict[str, Any]:
    """The options of a recognition: of the body, and those that only the query has."""
    data = request.data if isinstance(request.data, Mapping) else {}
    given: dict[str, Any] = {}
    for source in (request.query_params, data):
        texts = isinstance(source, QueryDict)
        for name in _OPTIONS:
            if name in source:
                text = texts and name in _NUMBERS
                given[name] = _json(name, str(source[name])[:40]) if text else source[name]
    return given


def image(request: Request, *, is_submitted: bool = False) -> Any:
    """The image to recognise: the bytes of `image`, or `face_url`; None for a submission."""
    data = request.data if isinstance(request.data, Mapping) else {}
    is_form = isinstance(data, QueryDict)
    sent = data.getlist("image") if isinstance(data, QueryDict) else [data.get("image")]
    sent = [each for each in sent if each is not None]
    if len(sent) + bool(data.get("face_url")) + is_submitted > 1:
        raise InvalidInput({"image": ["Send one image, or one face_url, or one submission."]})
    if is_submitted:
        return None
    if sent:
        # A form may have the text of the image in place of a file.
        return _decoded(sent[0]) if not is_form or isinstance(sent[0], str) else sent[0]
    if not data.get("face_url"):
        raise InvalidInput({"face_url": ["Give a URL here, or the bytes as image."]})
    return data["face_url"]


def _array(request: Request) -> list[Any]:
    data = request.data
    if isinstance(data, QueryDict) and "faces" not in data:
        return [_face(data)]
    if isinstance(data, QueryDict):
        array = _json("faces", data["faces"])
    else:
        array = data.get("faces") if isinstance(data, Mapping) else data
    if not isinstance(array, list):
        raise InvalidInput({"faces": ["Expected a list of faces."]})
    return array


def _face(data: QueryDict) -> dict[str, Any]:
    """The one face of a form."""
    face = {name: _json(name, str(data[name])[:40]) for name in _FIELDS if data.get(name)}
    return face | {
        name: value
        for name, value in (
            *((name, data.get(name)) for name in ("face_url", "submission")),
            ("image", "image"),
        )
        if name in data
    }


def _json(name: str, text: Any) -> Any:
    try:
        return bounded_json.loads(text)
    except bounded_json.TooMuch as error:
        raise TooLarge(str(error)) from None
    except (AttributeError, TypeError, ValueError):
        raise InvalidInput({name: ["This is no JSON."]}) from None


def _with_image(face: Any, parts: Mapping[str, Any] | None) -> Any:
    if not isinstance(face, dict) or face.get("image") is None:
        return face
    if parts is None:
        return {**face, "image": _decoded(face["image"])}
    if not isinstance(face["image"], str) or face["image"] not in parts:
        raise InvalidInput({"image": ["There is no part of this name in the form."]})
    part = parts[face["image"]]
    return {**face, "image": _decoded(part) if isinstance(part, str) else part}


def _decoded(text: Any) -> bytes:
    try:
        return base64_text.decode(text)
    except base64_text.NotBytes as error:
        raise InvalidInput({"image": [str(error)]}) from None
