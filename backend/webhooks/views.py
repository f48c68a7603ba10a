"""`/webhooks/`: the URLs to which a client's events are sent."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from backend.clients import caller
from backend.clients.models import Scope
from backend.common.http.service_url import service_url
from backend.common.openapi import bad_request, errors, in_path, response, sent
from backend.webhooks import services
from backend.webhooks.models import Webhook
from backend.webhooks.serializers import (
    DeliverySerializer,
    WebhookInputSerializer,
    WebhookSerializer,
    WebhooksSerializer,
)

_TOO_MANY: Final = f"A client has at most {services.MOST_WEBHOOKS} webhooks."
_NOT_KEPT: Final = {"Cache-Control": "no-store"}
_ID: Final = "0d2f6c1e-2f0b-4b53-8f5c-3d1e6a2b9c47"
_EXAMPLE: Final = {
    "id": _ID,
    "url": "https://app.example/faces-events",
    "events": ["submission.ended", "person.recognised"],
    "user_id": 1,
    "created_at": "2026-01-02T03:04:05.678901+00:00",
    "state": "idle",
    "last_sent_at": None,
    "reason": None,
    "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
}

_id: Final = in_path("id", OpenApiTypes.UUID, _ID, "The webhook's id.")


@extend_schema(tags=["Webhooks"])
class WebhooksView(APIView):
    scopes = {"get": Scope.ADMIN, "post": Scope.ADMIN}

    @extend_schema(
        operation_id="webhook_list",
        responses={200: response(WebhooksSerializer, "All of them.", {"results": [_EXAMPLE]})},
    )
    def get(self, request: Request) -> Response:
        """The webhooks of the caller's client."""
        rows = Webhook.objects.filter(owner_id=caller.from_request(request).client_id)
        return Response(WebhooksSerializer({"results": rows}).data, headers=_NOT_KEPT)

    @extend_schema(
        operation_id="webhook_create",
        request=WebhookInputSerializer,
        parameters=[sent("Location", "The webhook.", 201)],
        responses={
            201: response(WebhookSerializer, "It gets events from now on.", _EXAMPLE),
            400: bad_request(
                "A field is malformed, or there are too many.",
                not_public={"url": ["127.0.0.1 is not a public address."]},
                too_many={"url": [_TOO_MANY]},
            ),
            **errors(413, 415),
        },
    )
    def post(self, request: Request) -> Response:
        """Have events sent to a URL.

        Each is a POST of JSON with a signature by `secret`; docs/clients.md describes both.
        """
        wanted = WebhookInputSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        who = caller.from_request(request)
        try:
            webhook = services.create(who.client_id, **wanted.validated_data, actor=who.name)
        except services.TooManyWebhooks:
            raise ValidationError({"url": [_TOO_MANY]}) from None
        location = f"{service_url()}/webhooks/{webhook.pk}/"
        headers = {**_NOT_KEPT, "Location": location}
        return Response(WebhookSerializer(webhook).data, status=201, headers=headers)


@extend_schema(tags=["Webhooks"], parameters=[_id])
class WebhookView(APIView):
    scopes = {"get": Scope.ADMIN, "delete": Scope.ADMIN}

    @extend_schema(
        operation_id="webhook",
        responses={200: response(WebhookSerializer, "The webhook.", _EXAMPLE), **errors(404)},
    )
    def get(self, request: Request, id: UUID) -> Response:
        """A webhook, and how its deliveries go."""
        return Response(WebhookSerializer(_own(request, id)).data, headers=_NOT_KEPT)

    @extend_schema(
        operation_id="webhook_delete",
        responses={204: response(None, "Nothing is sent to it any more."), **errors(404)},
    )
    def delete(self, request: Request, id: UUID) -> Response:
        """Delete a webhook, and what waits for it."""
        services.delete(_own(request, id), actor=caller.from_request(request).name)
        return Response(status=204)


@extend_schema(tags=["Webhooks"], parameters=[_id])
class PingView(APIView):
    scopes = {"post": Scope.ADMIN}

    @extend_schema(
        operation_id="webhook_ping",
        request=None,
        responses={
            202: response(DeliverySerializer, "It will be sent.", {"delivery_id": _ID}),
            **errors(404),
        },
    )
    def post(self, request: Request, id: UUID) -> Response:
        """Send an event without data, to try a webhook."""
        delivery: Any = services.ping(_own(request, id))
        answer = DeliverySerializer({"delivery_id": delivery.pk})
        return Response(answer.data, status=202)


def _own(request: Request, id: UUID) -> Webhook:
    return get_object_or_404(Webhook, pk=id, owner_id=caller.from_request(request).client_id)
