from typing import Any

from django.apps import AppConfig
from django.core.management.color import no_style
from django.db import connections
from django.db.models.signals import post_migrate


class ClientsConfig(AppConfig):
    name = "backend.clients"

    def ready(self) -> None:
        post_migrate.connect(_make_anonymous, sender=self)


def _make_anonymous(using: str, **kwargs: Any) -> None:
    """Create the client that owns uploads without a key, at each `migrate`."""
    from backend.clients.models import ANONYMOUS_ID, Client

    _, is_new = Client.objects.using(using).get_or_create(
        pk=ANONYMOUS_ID, defaults={"name": "anonymous"}
    )
    if is_new:
        # PostgreSQL would assign the chosen id to the next client again.
        connection = connections[using]
        with connection.cursor() as cursor:
            for statement in connection.ops.sequence_reset_sql(no_style(), [Client]):
                cursor.execute(statement)
