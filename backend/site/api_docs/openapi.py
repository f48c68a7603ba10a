"""The OpenAPI document, derived from the views; what an app still has by hand takes precedence."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string
from drf_spectacular.generators import SchemaGenerator

from backend.common.openapi import SCHEMAS, SECURITY_SCHEMES, Endpoints, Fragment, refusals


class Generator(SchemaGenerator):
    """drf-spectacular's, with the components that all endpoints share."""

    endpoint_inspector_cls = Endpoints

    def parse(self, input_request: Any, public: bool) -> Fragment:
        derived: Fragment = super().parse(input_request, public)  # type: ignore[no-untyped-call]
        return {**derived, **_by_hand("PATHS")}

    def get_schema(self, request: Any = None, public: bool = False) -> Fragment:
        document: Fragment = super().get_schema(request, public)  # type: ignore[no-untyped-call]
        derived = document["components"].get("schemas", {})
        document["components"] = {
            "schemas": {**SCHEMAS, **_by_hand("SCHEMAS"), **derived},
            "responses": refusals(),
            "securitySchemes": SECURITY_SCHEMES,
        }
        return document


def _by_hand(name: str) -> Fragment:
    merged: Fragment = {}
    for module in settings.API_DESCRIPTIONS:
        merged |= import_string(f"{module}.{name}")
    return merged
