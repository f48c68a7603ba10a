from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class ClientsConfig(AppConfig):
    name = "backend.clients"

    def ready(self) -> None:
        post_migrate.connect(_make_anonymous, sender=self)


def _make_anonymous(using: str, **kwargs: Any) -> None:
    """The client that owns what comes without a key: made by `migrate`, and so never missing."""
    from backend.clients.models import ANONYMOUS_ID, Client

    Client.objects.using(using).get_or_create(pk=ANONYMOUS_ID, defaults={"name": "anonymous"})
