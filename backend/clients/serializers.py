"""A client's view of itself."""

from typing import Any

from rest_framework import serializers

from backend.clients.models import Scope


class ClientSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    scopes = serializers.ListField(child=serializers.ChoiceField(sorted(Scope.values)))
    stored_bytes = serializers.IntegerField(min_value=0)
    quota_bytes = serializers.IntegerField(min_value=0, allow_null=True)
    feed_url = serializers.URLField(help_text="The websocket of its events; expires.")
    erasing = serializers.BooleanField(help_text="Whether all of its data is being erased.")
