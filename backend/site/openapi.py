"""The OpenAPI document, put together from what each app says of its endpoints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string
from drf_spectacular.generators import SchemaGenerator

from backend.common.openapi import SECURITY_SCHEMES, Fragment, refusals


class Generator(SchemaGenerator):
    """drf-spectacular's, which serves, writes and checks the document; the content is ours.

    It would look into serializers, and our views answer plain dictionaries.
    """

    def parse(self, input_request: Any, public: bool) -> Fragment:
        return _merged("PATHS")

    def get_schema(self, request: Any = None, public: bool = False) -> Fragment:
        document: Fragment = super().get_schema(request, public)  # type: ignore[no-untyped-call]
        document["components"] = {
            "schemas": _merged("SCHEMAS"),
            "responses": refusals(),
            "securitySchemes": SECURITY_SCHEMES,
        }
        return document


def _merged(name: str) -> Fragment:
    merged: Fragment = {}
    for module in settings.API_DESCRIPTIONS:
        for key, value in _described(f"{module}.{name}"):
            if key in merged:
                raise ValueError(f"{key} is described twice, again in {module}")
            merged[key] = value
    return merged


def _described(dotted_name: str) -> Iterator[tuple[str, Any]]:
    described: Fragment = import_string(dotted_name)
    yield from described.items()
