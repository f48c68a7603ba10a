"""`manage.py erase_client NAME`: erase all data of a client from every store."""

from argparse import ArgumentParser
from typing import Any

import redis
from django.core.management.base import CommandError

from backend.clients import erasure
from backend.clients.models import Client
from backend.common.commands import ServiceCommand


class Command(ServiceCommand):
    help = "Erase all images, results, encodings and events of the client NAME. Cannot be undone."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help='the client; "anonymous" owns uploads without a key')
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def handle(self, *args: Any, name: str, yes: bool, **options: Any) -> None:
        client = Client.objects.filter(name=name).first()
        if client is None:
            raise CommandError(f"There is no client {name}.")
        if not yes and input(f"Erase everything of {name}? Type its name: ") != name:
            raise CommandError("Nothing was erased.")
        try:
            erasure.erase_now(client.pk, actor="command line")
        except redis.RedisError as error:
            raise CommandError(
                f"Redis is out of reach; the erasure continues when it is back: {error}"
            ) from error
        self.stdout.write(f"Everything of {name} is erased.")
