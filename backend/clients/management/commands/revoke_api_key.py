"""`manage.py revoke_api_key PREFIX`: revoke a key at once."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from backend.clients import keys
from backend.clients.models import ApiKey
from backend.common.commands import ServiceCommand


class Command(ServiceCommand):
    help = "Revoke the API key that begins with PREFIX. Cannot be undone."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("prefix", help="the part of the key before the dot")

    def handle(self, *args: Any, prefix: str, **options: Any) -> None:
        key = ApiKey.objects.filter(prefix=prefix.partition(".")[0]).first()
        if not isinstance(key, ApiKey):
            raise CommandError(f"There is no key {prefix.partition('.')[0]}.")
        keys.revoke_key(key, actor="command line")
        self.stdout.write(f"Revoked {key.prefix} of {key.client}.")
