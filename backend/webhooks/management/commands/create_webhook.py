"""`manage.py create_webhook CLIENT URL`: the secret of its signatures, alone on the last line."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from backend.clients.models import Client
from backend.common.commands import ServiceCommand
from backend.webhooks import services, signatures
from backend.webhooks.models import REQUESTABLE
from backend.webhooks.serializers import WebhookInputSerializer


class Command(ServiceCommand):
    help = (
        "Have the events of the client CLIENT sent to URL. The client `anonymous` owns what is "
        "uploaded without a key. The secret of the signatures is printed on the last line."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("client")
        parser.add_argument("url")
        parser.add_argument(
            "--events",
            default=",".join(REQUESTABLE),
            help="separated by commas (default: %(default)s)",
        )
        parser.add_argument(
            "--user", type=int, help="the gallery in which the faces of uploads are looked for"
        )

    def handle(self, *args: Any, client: str, url: str, **options: Any) -> None:
        owner = Client.objects.filter(name=client).first()
        if owner is None:
            raise CommandError(f"There is no client {client}. `create_api_key` makes one.")
        events = [event.strip() for event in options["events"].split(",")]
        wanted = WebhookInputSerializer(
            data={"url": url, "events": events, "user_id": options["user"]}
        )
        if not wanted.is_valid():
            raise CommandError(f"The webhook is not possible: {dict(wanted.errors)}")
        try:
            webhook = services.create(owner.pk, **wanted.validated_data, actor="command line")
        except services.TooManyWebhooks:
            raise CommandError(f"{client} has {services.MOST_WEBHOOKS} webhooks.") from None
        self.stderr.write(f"Webhook {webhook.pk} of {client}. The secret of its signatures:")
        self.stdout.write(signatures.secret(webhook.pk))
