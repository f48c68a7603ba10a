"""Pieces of the OpenAPI document as plain dictionaries, for apps that still have it.

Each app describes its own endpoints in a module `schema.py`: `PATHS` by the template of the path,
and the `SCHEMAS` of what it answers, as JSON Schema 2020-12. `backend.site.api_docs.openapi` puts
them together. Our views answer plain functions' dictionaries, so there is nothing to look into;
that the descriptions are true is asked of the running service (`tests/e2e/test_schema.py`).
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from backend.common.openapi import ALWAYS, ENCODING, KEYS, Fragment, named, refusal

__all__ = ["ENCODING", "Fragment", "named"]


UUID: Final[Fragment] = {"type": "string", "format": "uuid"}
MOMENT: Final[Fragment] = {
    "type": "string",
    "format": "date-time",
    "description": "ISO-8601 with an offset.",
}
URL: Final[Fragment] = {"type": "string", "format": "uri"}
SHA256: Final[Fragment] = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
TEXT: Final[Fragment] = {"type": "string"}
NUMBER: Final[Fragment] = {"type": "number"}
FLAG: Final[Fragment] = {"type": "boolean"}
COUNT: Final[Fragment] = {"type": "integer", "minimum": 0}
PIXELS: Final[Fragment] = {"type": "integer"}
FILE: Final[Fragment] = {"type": "string", "format": "binary"}


def maybe(schema: Fragment) -> Fragment:
    """`schema`, or null."""
    if isinstance(schema.get("type"), str):
        return {**schema, "type": [schema["type"], "null"]}
    return {"anyOf": [schema, {"type": "null"}]}


def list_of(schema: Fragment, **more: Any) -> Fragment:
    return {"type": "array", "items": schema, **more}


def one_of_words(*words: str) -> Fragment:
    return {"type": "string", "enum": list(words)}


def record(
    properties: Mapping[str, Fragment], *, optional: Iterable[str] = (), **more: Any
) -> Fragment:
    """An object with these keys; all are always there, save the `optional` ones."""
    left_out = set(optional)
    required = [name for name in properties if name not in left_out]
    return {"type": "object", "properties": dict(properties), "required": required, **more}


def path(name: str, schema: Fragment, example: str, description: str = "") -> Fragment:
    """A parameter in the path."""
    parameter = {"name": name, "in": "path", "required": True, "schema": schema}
    return {**parameter, "example": example, "description": description}


def query(name: str, schema: Fragment, description: str, **more: Any) -> Fragment:
    """A parameter in the query, which may be left out."""
    return {"name": name, "in": "query", "schema": schema, "description": description, **more}


def header(name: str, description: str, **more: Any) -> Fragment:
    """A header of the request, which may be left out."""
    parameter = {"name": name, "in": "header", "schema": TEXT}
    return {**parameter, "description": description, **more}


def headers(**described: str) -> Fragment:
    """Headers of an answer: `Retry_After="…"` is `Retry-After`."""
    return {
        name.replace("_", "-"): {"description": text, "schema": TEXT}
        for name, text in described.items()
    }


def answer(
    description: str,
    schema: Fragment | None = None,
    *,
    example: Any = None,
    examples: Mapping[str, Any] | None = None,
    sent: Fragment | None = None,
    media_types: Iterable[str] = ("application/json",),
) -> Fragment:
    """One response, with `sent` as its headers; without a schema it has no body."""
    response: Fragment = {"description": description}
    if sent:
        response["headers"] = sent
    if schema is not None:
        content = {"schema": schema, **_examples(example, examples)}
        response["content"] = dict.fromkeys(media_types, content)
    return response


def form(properties: Mapping[str, Fragment], *, optional: Iterable[str] = ()) -> Fragment:
    """A multipart body."""
    schema = record(properties, optional=optional)
    return {"required": True, "content": {"multipart/form-data": {"schema": schema}}}


def json_body(schema: Fragment, *, example: Any) -> Fragment:
    return {
        "required": True,
        "content": {"application/json": {"schema": schema, **_examples(example, None)}},
    }


def operation(
    id: str,
    summary: str,
    *,
    tag: str,
    answers: Mapping[int, Fragment],
    description: str = "",
    scope: str | None = None,
    by_link: bool = False,
    by_members: bool = False,
    parameters: Iterable[Fragment] = (),
    body: Fragment | None = None,
    errors: Iterable[int] = (),
) -> Fragment:
    """One operation. `scope` is what a key needs; None where nobody is asked for a key, but for
    a login where it is `by_members`.

    `errors` are those with a `detail`, besides the ones that every operation has.
    """
    usual = {*errors, *((405, *ALWAYS) if scope or by_members else ())}
    refusals = {code: refusal(code) for code in usual if code not in answers}
    made: Fragment = {
        "operationId": id,
        "summary": summary,
        "description": f"{description}\n\nNeeds the scope `{scope}`." if scope else description,
        "tags": [tag],
        "parameters": list(parameters),
        "security": _of_members() if by_members else _security(scope, by_link=by_link),
        "responses": {str(code): each for code, each in sorted({**refusals, **answers}.items())},
    }
    return {**made, "requestBody": body} if body else made


def _security(scope: str | None, *, by_link: bool) -> list[Fragment]:
    if scope is None:
        return []
    link: list[Fragment] = [{"link": []}] if by_link else []
    # The last one: nothing is needed where the service runs open.
    return [*({name: [scope]} for name in KEYS), *link, {}]


def _of_members() -> list[Fragment]:
    return [{"basic": []}, {"session": []}]


def _examples(example: Any, examples: Mapping[str, Any] | None) -> Fragment:
    if examples:
        return {"examples": {name: {"value": value} for name, value in examples.items()}}
    return {} if example is None else {"example": example}


SCHEMAS: Final[Fragment] = {
    "Box": record(
        dict.fromkeys(("top", "right", "bottom", "left"), PIXELS),
        description="Pixels of the upright image; `right` and `bottom` lie just outside the face.",
    ),
}

PATHS: Final[Fragment] = {}
