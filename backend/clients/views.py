"""`/client/`: the caller's own client."""

from typing import Any, Final

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from backend.clients import caller, erasure
from backend.clients.auth import feed_tokens
from backend.clients.models import Client, Scope
from backend.clients.serializers import ClientSerializer
from backend.common.openapi import response

_EXAMPLE: Final = {
    "name": "shop",
    "scopes": ["read", "upload"],
    "stored_bytes": 1048576,
    "quota_bytes": None,
    "feed_url": "wss://faces.example/faces?token=eyJhbGciOiJIUzI1NiJ9.e30.MA",
    "erasing": False,
}


@extend_schema(tags=["Client"])
class ClientView(APIView):
    scopes = {"get": Scope.READ, "delete": Scope.ADMIN}

    @extend_schema(
        operation_id="client",
        responses={200: response(ClientSerializer, "The caller's client.", _EXAMPLE)},
    )
    def get(self, request: Request) -> Response:
        """Who am I, and how much of mine is stored?"""
        return Response(_as_resource(request), headers={"Cache-Control": "no-store"})

    @extend_schema(
        operation_id="client_erase",
        responses={202: response(ClientSerializer, "It has begun.", {**_EXAMPLE, "erasing": True})},
    )
    def delete(self, request: Request) -> Response:
        """Erase everything of mine.

        Rows, files, analyses, events, jobs. Uploads are refused until it is done; `erasing` of
        `GET /client/` reports it.
        """
        who = caller.from_request(request)
        erasure.request(who.client_id, actor=who.name)
        return Response(_as_resource(request), status=202)


def _as_resource(request: Request) -> dict[str, Any]:
    who = caller.from_request(request)
    client = Client.objects.get(pk=who.client_id)
    resource = {
        "name": client.name,
        "scopes": sorted(who.scopes),
        "stored_bytes": client.stored_bytes,
        "quota_bytes": client.quota_bytes,
        "feed_url": feed_tokens.url(who),
        "erasing": client.erasing_since is not None,
    }
    return ClientSerializer(resource).data
