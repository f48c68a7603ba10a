"""The OpenAPI document: what all endpoints share. drf-spectacular derives the rest.

An endpoint is in the document if its method is decorated with `@extend_schema`.

- A DRF serializer describes each answer and body; its name without "Serializer" is the component's.
- The first line of the method's docstring is the summary, the rest the description.
- `ApiSchema` adds security (from the view's authentication classes and `scopes`) and the errors of
  every endpoint (401, 403, 405, 406, 429, 503). `errors` gives the others.
- `api_path` of a view replaces the path of its URL pattern, which ends in a slash.
- `in_path` describes each parameter of the path; tests request it with its example.
- Each JSON answer has an example.

`backend/site/tests` checks that the document is complete, `tests/e2e/test_schema.py` that the
running service answers accordingly.
"""

from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final, cast

from drf_spectacular.generators import EndpointEnumerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import get_doc, resolve_type_hint
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiRequest, OpenApiResponse
from rest_framework import serializers

Fragment = dict[str, Any]

KEYS: Final = ("bearer", "apiKey")
"""The security schemes of an API key: one header or the other."""

SECURITY_SCHEMES: Final[Fragment] = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key, as `Authorization: Bearer KEY`.",
    },
    "apiKey": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Api-Key",
        "description": "The same key, in a header of its own.",
    },
    "basic": {
        "type": "http",
        "scheme": "basic",
        "description": "A member's name and password, over https.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "faces_session",
        "description": "A member who is logged in; a change needs `X-CSRFToken` as well.",
    },
    "link": {
        "type": "apiKey",
        "in": "query",
        "name": "signature",
        "description": "A signed link: this and `expires`, as the service's answers hold them.",
    },
}

_SECURITY: Final[Mapping[str, tuple[str, ...]]] = {
    "ApiKeyAuthentication": (*KEYS, ""),
    "LinkAuthentication": (*KEYS, "link", ""),
    "BasicLogin": ("basic",),
    "SessionAuthentication": ("session",),
}
"""The schemes of a view, by its authentication classes; "" is no key, for open mode."""

ENCODING: Final[Fragment] = {
    "type": "array",
    "items": {"type": "number", "minimum": -1000, "maximum": 1000},
    "minItems": 128,
    "maxItems": 1024,
    "description": "128 numbers of dlib's encoder; 128 to 1,024 of another, which `model` names.",
}

_DETAIL: Final[Mapping[int, tuple[str, str]]] = {
    401: ("No API key, or one that opens nothing.", "An API key is needed: send it as …"),
    403: ("The key lacks the scope that is needed.", "This key lacks the scope 'read'."),
    404: ("There is no such thing, or it is another client's.", "Not found."),
    405: ("Another method than those of this page.", 'Method "PATCH" not allowed.'),
    406: (
        "The answer cannot be had in the type that was asked for.",
        "Could not satisfy the request Accept header.",
    ),
    413: ("The upload is too large.", "At most 104857600 bytes are accepted."),
    415: (
        "The body is of another type than those of this page.",
        'Unsupported media type "text/plain" in request.',
    ),
    429: ("Too many requests, images that wait, or bytes stored.", "Request was throttled."),
    503: ("Not now: what is needed is out of reach, or too much waits.", "The service cannot …"),
}

_RETRIABLE: Final = (429, 503)
"""These have a `Retry-After`."""

_ALWAYS: Final = (401, 403, 406, 429, 503)
"""Errors of every endpoint that authenticates; 405 is of the others as well."""

_USUAL: Final = object()
"""The shared response of an error code."""


def named(name: str) -> Fragment:
    """A reference to a component."""
    return {"$ref": f"#/components/schemas/{name}"}


class MomentField(serializers.DateTimeField):
    """A date and time, ISO-8601 with an offset."""

    def to_representation(self, value: datetime) -> str:
        return value.isoformat()


class BoxSerializer(serializers.Serializer[Any]):
    """Pixels of the upright image; `right` and `bottom` lie just outside the face."""

    top = serializers.IntegerField()
    right = serializers.IntegerField()
    bottom = serializers.IntegerField()
    left = serializers.IntegerField()


class Endpoints(EndpointEnumerator):
    """The methods that are decorated with `@extend_schema`, each by the `api_path` of its view."""

    def get_api_endpoints(self, *args: Any) -> Any:
        found = super().get_api_endpoints(*args)  # type: ignore[no-untyped-call]
        return [
            (getattr(callback.cls, "api_path", path), regex, method, callback)
            for path, regex, method, callback in found
            if "schema" in getattr(getattr(callback.cls, method.lower()), "kwargs", {})
        ]


class ApiSchema(AutoSchema):
    """What all endpoints share. The methods override drf-spectacular's."""

    def get_operation(self, *args: Any) -> Any:
        operation = super().get_operation(*args)
        return operation and {"parameters": [], "security": [], **operation}

    @property
    def scope(self) -> str | None:
        """What a key needs for this method."""
        scopes: Mapping[str, str] = getattr(self.view, "scopes", {})
        return scopes.get(self.method.lower())

    def get_auth(self) -> list[dict[str, list[Any]]]:
        names = [
            name
            for each in self.view.get_authenticators()
            for name in _SECURITY.get(type(each).__name__, ())
        ]
        return [{name: [self.scope] if name in KEYS else []} if name else {} for name in names]

    def get_summary(self) -> str:
        return self._text()[0].strip().removesuffix(".")

    def get_description(self) -> str:  # type: ignore[override]
        needed = f"Needs the scope `{self.scope}`." if self.scope and self.get_auth() else ""
        return "\n\n".join(filter(None, [self._text()[2].strip(), needed]))

    def _text(self) -> tuple[str, str, str]:
        return get_doc(getattr(self.view, self.method.lower())).partition("\n\n")

    def _get_parameters(self) -> list[Fragment]:
        """`example` in place of `examples`: tests and pages fill in the path with it."""
        parameters = super()._get_parameters()
        for each in parameters:
            for example in each.pop("examples", {}).values():
                each["example"] = example["value"]
        return parameters

    def get_request_serializer(self) -> Any:
        return None if self.method == "DELETE" else super().get_request_serializer()

    def _get_request_body(self, direction: Any = "request") -> Any:
        """Also of a DELETE with a body, which drf-spectacular omits."""
        usual, method = cast(Any, super()), self.method
        if method == "DELETE" and self.get_request_serializer():
            self.method = "POST"
        try:
            return usual._get_request_body(direction)
        finally:
            self.method = method

    def _get_response_bodies(self, direction: Any = "response") -> Fragment:
        usual = {405, *(_ALWAYS if self.get_auth() else ())}
        bodies = super()._get_response_bodies(direction)
        usual_errors = {str(code): _error(code) for code in usual}
        return dict(sorted({**usual_errors, **bodies}.items()))

    def _get_response_for_code(self, serializer: Any, status_code: str, *args: Any) -> Fragment:
        if serializer is _USUAL:
            return _error(int(status_code))
        usual: Any = super()
        made: Fragment = usual._get_response_for_code(serializer, status_code, *args)
        return made

    def _map_basic_serializer(self, serializer: Any, direction: Any) -> Fragment:
        """With the serializer's `constraints`: JSON Schema for what the fields cannot express."""
        usual: Any = super()
        schema: Fragment = usual._map_basic_serializer(serializer, direction)
        return {**schema, **getattr(serializer, "constraints", {})}

    def _map_serializer_field(self, field: Any, *args: Any, **kwargs: Any) -> Any:
        usual: Any = super()
        schema = usual._map_serializer_field(field, *args, **kwargs)
        if schema:
            schema.pop("x-spec-enum-id", None)
        return schema


def component(name: str, shape: Any) -> Fragment:
    """The component of a TypedDict, the type of an answer."""
    SCHEMAS[name] = _with_null(resolve_type_hint(shape))  # type: ignore[no-untyped-call]
    return named(name)


def _with_null(part: Any) -> Any:
    """drf-spectacular's schema of a type hint, whose `nullable` is OpenAPI 3.0's."""
    if not isinstance(part, dict):
        return part
    made = {key: _with_null(value) for key, value in part.items() if key != "nullable"}
    return {**made, "type": [made["type"], "null"]} if part.get("nullable") else made


def response(
    schema: Any, description: str, example: Any = None, **examples: Any
) -> OpenApiResponse:
    """One answer: `schema` is a serializer, a type or an OpenAPI schema; None for no body."""
    if example is not None:
        examples["Example"] = example
    described = [OpenApiExample(name, value) for name, value in examples.items()]
    return OpenApiResponse(schema, description, described)


def errors(*codes: int) -> dict[int, Any]:
    """Errors with a `detail`, besides those that every endpoint has."""
    return dict.fromkeys(codes, _USUAL)


def bad_request(description: str, example: Any = None, **examples: Any) -> OpenApiResponse:
    """A 400: by field, or with a `detail`."""
    return response(named("BadRequest"), description, example, **examples)


def body(serializer: Any, example: Any) -> OpenApiRequest:
    """A JSON body with its example."""
    return OpenApiRequest(serializer, examples=[OpenApiExample("Example", example)])


def in_path(name: str, schema: Any, example: Any, description: str = "") -> OpenApiParameter:
    return OpenApiParameter(
        name, schema, "path", description=description, examples=[OpenApiExample("Example", example)]
    )


def in_query(name: str, schema: Any, description: str, **more: Any) -> OpenApiParameter:
    return OpenApiParameter(name, schema, "query", description=description, **more)


def in_header(name: str, description: str, **more: Any) -> OpenApiParameter:
    return OpenApiParameter(name, str, "header", description=description, **more)


def sent(name: str, description: str, *codes: int) -> OpenApiParameter:
    """A header of the answers with these codes; one of the `parameters`."""
    return OpenApiParameter(name, str, "header", description=description, response=list(codes))


LINK_PARAMETERS: Final = [
    in_query("expires", str, "Part of a signed link: when it ends, in seconds since 1970."),
    in_query("signature", str, "Part of a signed link."),
]


def error_responses() -> Fragment:
    """The components that `errors` refers to."""
    return {
        _name(code): _described(*described, code in _RETRIABLE)
        for code, described in _DETAIL.items()
    }


def _error(code: int) -> Fragment:
    return {"$ref": f"#/components/responses/{_name(code)}"}


def _name(code: int) -> str:
    return HTTPStatus(code).phrase.title().replace(" ", "")


def _described(meaning: str, example: str, is_retriable: bool) -> Fragment:
    content = {"schema": named("Detail"), "example": {"detail": example}}
    seconds = {"description": "Seconds to wait.", "schema": {"type": "string"}}
    described = {"description": meaning, "content": {"application/json": content}}
    return {**described, "headers": {"Retry-After": seconds}} if is_retriable else described


SCHEMAS: Final[Fragment] = {
    "Detail": {
        "type": "object",
        "properties": {"detail": {"type": "string"}},
        "required": ["detail"],
        "description": "An error, in words.",
    },
    "FieldErrors": {
        "type": "object",
        "description": "What is wrong with which field, in words.",
        "additionalProperties": {"type": "array", "items": {"type": "string"}, "minItems": 1},
        "minProperties": 1,
        "not": {"required": ["detail"]},
    },
    "BadRequest": {"anyOf": [named("FieldErrors"), named("Detail")]},
}
