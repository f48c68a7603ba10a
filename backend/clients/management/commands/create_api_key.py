"""`manage.py create_api_key NAME`: a key for a client, printed alone on the last line."""

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError
from django.utils import timezone

from backend.clients import keys
from backend.clients.models import ANONYMOUS_ID, ApiKey, Client, Scope
from backend.common.commands import ServiceCommand


class Command(ServiceCommand):
    help = (
        "Create an API key for the client NAME, and the client if it is new. The key is shown "
        "once, on the last line: KEY=$(manage.py create_api_key NAME | tail -n 1)"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="the client that the key is for")
        parser.add_argument(
            "--scopes",
            default="upload,read,recognise",
            help=f"separated by commas, of: {', '.join(Scope.values)} (default: %(default)s)",
        )
        parser.add_argument("--days", type=int, help="how long it is valid (default: for ever)")
        parser.add_argument(
            "--rotate",
            metavar="PREFIX",
            help="copy name and scopes of this key, which then expires after --overlap-hours",
        )
        parser.add_argument("--overlap-hours", type=int, default=24)

    def handle(self, *args: Any, name: str, rotate: str | None, **options: Any) -> None:
        try:
            key, text = _rotated(name, rotate, options) if rotate else _made(name, options)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        scopes, expires = ", ".join(key.scopes), key.expiry_date or "never"
        self.stderr.write(f"Key {key.prefix} of {name}: scopes {scopes}; expires {expires}.")
        self.stderr.write("It is shown only now:")
        self.stdout.write(text)


def _made(name: str, options: dict[str, Any]) -> tuple[ApiKey, str]:
    client, _ = Client.objects.get_or_create(name=name)
    if client.pk == ANONYMOUS_ID:
        raise CommandError("The anonymous client has no keys: it owns uploads without one.")
    days = options["days"]
    return keys.create_key(
        client,
        name=name,
        scopes=[scope.strip() for scope in options["scopes"].split(",")],
        actor="command line",
        expires_at=timezone.now() + timedelta(days=days) if days else None,
    )


def _rotated(name: str, prefix: str, options: dict[str, Any]) -> tuple[ApiKey, str]:
    old = ApiKey.objects.filter(prefix=prefix, client__name=name, revoked=False).first()
    if not isinstance(old, ApiKey):
        raise CommandError(f"{name} has no key {prefix} that is not revoked.")
    overlap = timedelta(hours=options["overlap_hours"])
    return keys.rotate_key(old, overlap=overlap, actor="command line")
