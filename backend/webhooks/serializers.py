"""Webhooks in the API: what clients send and get."""

from __future__ import annotations

from typing import Any, Final

from rest_framework import serializers

from backend.common import image_downloads
from backend.common.jobs.models import Status
from backend.common.openapi import MomentField
from backend.webhooks import signatures
from backend.webhooks.models import MAX_URL_CHARS, REQUESTABLE, Webhook

_STATES: Final = {
    Status.DONE: "idle",
    Status.QUEUED: "waiting",
    Status.PROCESSING: "sending",
    Status.FAILED: "failed",
}


class WebhookInputSerializer(serializers.Serializer[Any]):
    url = serializers.CharField(
        max_length=MAX_URL_CHARS,
        help_text="`https://…` or `http://…`; a private address only if the service allows it.",
    )
    events = serializers.ListField(
        child=serializers.ChoiceField([event.value for event in REQUESTABLE]),
        allow_empty=False,
        max_length=len(REQUESTABLE),
    )
    user_id = serializers.IntegerField(
        required=False,
        allow_null=True,
        default=None,
        min_value=0,
        max_value=2**63 - 1,
        help_text="The gallery in which the faces of uploads are looked for.",
    )

    def validate_url(self, url: str) -> str:
        """Refused now is what could never be sent to."""
        if problem := image_downloads.client().problem_of(url):
            raise serializers.ValidationError(problem)
        return url


class WebhookSerializer(serializers.Serializer[Webhook]):
    id = serializers.UUIDField()
    url = serializers.CharField()
    events = serializers.ListField(
        child=serializers.ChoiceField([event.value for event in REQUESTABLE])
    )
    user_id = serializers.IntegerField(allow_null=True)
    created_at = MomentField(source="registered_at")
    state = serializers.SerializerMethodField()
    last_sent_at = MomentField(allow_null=True)
    reason = serializers.SerializerMethodField(help_text="Why the last attempt failed.")
    secret = serializers.SerializerMethodField(help_text="Verifies the signatures.")

    def get_state(self, webhook: Webhook) -> str:
        return _STATES[Status(webhook.status)]

    def get_reason(self, webhook: Webhook) -> str | None:
        waiting = webhook.deliveries.exclude(reason="").order_by("-created_at").first()
        return webhook.reason or (waiting.reason if waiting else None) or None

    def get_secret(self, webhook: Webhook) -> str:
        return signatures.secret(webhook.pk)


class WebhooksSerializer(serializers.Serializer[Any]):
    results = WebhookSerializer(many=True)


class DeliverySerializer(serializers.Serializer[Any]):
    delivery_id = serializers.UUIDField(help_text="The `webhook-id` of its request.")
