"""The OpenAPI document."""

from typing import Any, Final

from drf_spectacular.generators import SchemaGenerator

from backend.common.openapi import SCHEMAS, SECURITY_SCHEMES, Endpoints, Fragment, error_responses

_TAGS: Final = (
    *("Submissions", "Face encodings", "Recognition", "Photos of me", "Photos", "Client"),
    "Service",
)
"""In the order of the page."""

_INTERNAL: Final = "/api/facedetection/"
"""Paths that the Lambda function alone requests; the page does not show them."""


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
        for path, operations in document["paths"].items():
            if path.startswith(_INTERNAL):
                for operation in operations.values():
                    operation["x-internal"] = True
        document["tags"] = [{"name": name} for name in _TAGS]
        return document
