"""The description of the API, for programs and as a page."""

from typing import Any, Final

from django.http import HttpResponse
from drf_spectacular.renderers import OpenApiJsonRenderer2, OpenApiYamlRenderer2
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from backend.common.http.public import PublicView
from backend.common.http.security_headers import Page
from backend.common.openapi import errors, in_query, response
from backend.site.api_docs.asyncapi import document

_ANY: Final = {"type": "object"}


class SchemaView(SpectacularAPIView):
    """The OpenAPI document, for every caller: it holds nothing that the documentation does not."""

    renderer_classes = [OpenApiJsonRenderer2, OpenApiYamlRenderer2]
    throttle_classes = []

    @extend_schema(
        operation_id="schema",
        tags=["Service"],
        parameters=[
            in_query("format", str, "Instead of the Accept header.", enum=["json", "yaml"])
        ],
        responses={
            (200, "application/json", "application/yaml"): response(_ANY, "OpenAPI 3.1."),
            **errors(404, 406),
        },
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        """This document."""
        answer: HttpResponse = super().get(request, *args, **kwargs)  # type: ignore[no-untyped-call]
        return answer


@extend_schema(tags=["Service"])
class AsyncApiView(PublicView):
    api_path = "/api/asyncapi.json"

    @extend_schema(operation_id="asyncapi", responses={200: response(_ANY, "AsyncAPI 3.0.")})
    def get(self, request: Request) -> Response:
        """The websocket `/faces`, its frames and close codes."""
        return Response(document(), headers={"Cache-Control": "public, max-age=3600"})


class DocsView(Page):
    """The document as a page, on which everything can be tried."""

    template_name = "site/api_docs.html"
