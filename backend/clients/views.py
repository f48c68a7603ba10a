"""What a client can know and do about itself."""

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from backend.clients import caller, erasure
from backend.clients.auth import feed_tokens
from backend.clients.models import Client, Scope


class ClientView(APIView):
    scopes = {"get": Scope.READ, "delete": Scope.ADMIN}

    def get(self, request: Request) -> Response:
        return Response(_as_resource(request), headers={"Cache-Control": "no-store"})

    def delete(self, request: Request) -> Response:
        """Erase everything of the client from every store; 202, and `erasing` until it is done."""
        who = caller.of(request)
        erasure.ask(who.client_id, actor=who.name)
        return Response(_as_resource(request), status=202)


def _as_resource(request: Request) -> dict[str, object]:
    who = caller.of(request)
    client = Client.objects.get(pk=who.client_id)
    return {
        "name": client.name,
        "scopes": sorted(who.scopes),
        "stored_bytes": client.stored_bytes,
        "quota_bytes": client.quota_bytes,
        "feed_url": feed_tokens.url(who),
        "erasing": client.erasing_since is not None,
    }
