"""What there is to ask of the service: for programs, and to be read."""

from django.http import HttpRequest, JsonResponse
from drf_spectacular.renderers import OpenApiJsonRenderer2, OpenApiYamlRenderer2
from drf_spectacular.views import SpectacularAPIView

from backend.common.http.errors import read_only
from backend.common.http.security_headers import Page
from backend.site.api_docs.asyncapi import document


class SchemaView(SpectacularAPIView):
    """The OpenAPI document, for everybody: it tells nothing that the documentation does not."""

    renderer_classes = [OpenApiJsonRenderer2, OpenApiYamlRenderer2]
    throttle_classes = []


@read_only
def asyncapi(request: HttpRequest) -> JsonResponse:
    return JsonResponse(document(), headers={"Cache-Control": "public, max-age=3600"})


class DocsView(Page):
    """The document as a page, on which everything can be tried."""

    template_name = "site/api_docs.html"
