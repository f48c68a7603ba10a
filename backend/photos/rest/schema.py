"""How the endpoints of members stand in the OpenAPI document: one decorator, and the examples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from drf_spectacular.utils import OpenApiParameter, extend_schema

from backend.common.openapi import bad_request, body, errors, in_path, in_query, response
from backend.photos.rest import serializers as shapes

F = TypeVar("F", bound=Callable[..., Any])

_COUNT: Final = {"type": "integer", "minimum": 0}
_AT: Final = "2026-01-02T03:04:05.678901+00:00"

PK: Final = in_path("pk", _COUNT, 7)
MEMBER: Final = in_path("member", _COUNT, 4)
PAGE: Final = [
    in_query("limit", {**_COUNT, "minimum": 1}, "Rows of a page; at most 200."),
    in_query("offset", _COUNT, "Rows to leave out."),
    in_query("cursor", str, "From `next` or `previous`."),
]


def endpoint(
    operation_id: str,
    *parameters: OpenApiParameter,
    shape: Any = None,
    example: Any = None,
    codes: Sequence[int] = (200,),
    request: Any = None,
    refused: str = "",
    more: Sequence[int] = (),
) -> Callable[[F], F]:
    """Documents a method: without `shape` it answers 204. `refused` is the field of a 400."""
    if shape is None:
        responses: dict[Any, Any] = {204: response(None, "Done.")}
    else:
        responses = dict.fromkeys(codes, response(shape, "As it is now.", example))
    if refused:
        responses[400] = bad_request("The request cannot be used.", {refused: ["…"]})
    if PK in parameters:
        more = [404, *more]
    return extend_schema(
        operation_id=operation_id,
        tags=["Photos of me"],
        parameters=list(parameters),
        request=request,
        responses={**responses, **errors(*more)},
    )


def page(
    operation_id: str, each: Any, example: Any, *parameters: OpenApiParameter
) -> Callable[[F], F]:
    """Documents a list."""
    shown = {"count": 1, "next": None, "previous": None, "results": [example]}
    shape, more = shapes.page_of(each), [404] if parameters else []
    return endpoint(
        operation_id, *parameters, *PAGE, shape=shape, example=shown, refused="limit", more=more
    )


def json(serializer: Any, **example: Any) -> Any:
    return body(serializer, example)


PHOTO: Final = {
    "pk": 7,
    "album": {"pk": 3, "title": "Summer", "date": "2026-01-02"},
    "taken_at": _AT,
    "width": 1600,
    "height": 1200,
    "hidden": False,
    "file": dict.fromkeys(
        ("full", "small", "medium", "large"), "http://localhost:8282/photos/7246f927/full.jpg"
    ),
    "num_likes": 0,
    "liked": False,
}
PHOTO_IN_FULL: Final = {**PHOTO, "faces": [{"pk": 1, "box": None}], "is_me": True}
REFERENCE: Final = {
    "pk": 5,
    "status": "processing",
    "reason": None,
    "created_at": _AT,
    "file": None,
}
ALBUM: Final = {
    "pk": 3,
    "title": "Summer",
    "date": "2026-01-02",
    "hidden": False,
    "is_processing": False,
}
ARCHIVE: Final = {
    "pk": 2,
    "album": 3,
    "name": "summer.zip",
    "status": "queued",
    "reason": None,
    "entries_count": None,
    "entries_seen": 0,
    "photos_added": 0,
    "skipped_count": 0,
    "skipped": [],
}
REPORT: Final = {"added": [{"pk": 7, "name": "a.jpg"}], "skipped": []}
PERSON: Final = {
    "pk": 1,
    "name": "",
    "hidden": False,
    "faces_count": 4,
    "member": None,
    "status": "unknown",
}
PERSON_IN_FULL: Final = {**PERSON, "faces": [{"pk": 1, "photo": 7}]}
CONSENT: Final = {"takes_part": True, "opted_in_at": _AT, "opted_out_at": None}
MEMBER_STATUS: Final = {
    "processing": False,
    "message": None,
    "references": {"done": 2},
    "photos_count": 12,
    "version": "0a1b2c",
}
