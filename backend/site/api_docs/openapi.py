"""The OpenAPI document."""

from typing import Any

from drf_spectacular.generators import SchemaGenerator

from backend.common.openapi import SCHEMAS, SECURITY_SCHEMES, Endpoints, Fragment, error_responses


class Generator(SchemaGenerator):
    """drf-spectacular's, with the components that all endpoints share."""

    endpoint_inspector_cls = Endpoints

    def get_schema(self, request: Any = None, public: bool = False) -> Fragment:
        document: Fragment = super().get_schema(request, public)  # type: ignore[no-untyped-call]
        document["components"] = {
            "schemas": {**SCHEMAS, **document["components"].get("schemas", {})},
            "responses": error_responses(),
            "securitySchemes": SECURITY_SCHEMES,
        }
        return document
