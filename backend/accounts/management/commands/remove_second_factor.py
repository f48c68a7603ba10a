"""`manage.py remove_second_factor NAME`: for a user who has lost phone, key and recovery codes."""

from __future__ import annotations

from typing import Any

from allauth.mfa.models import Authenticator
from django.core.management.base import CommandError, CommandParser

from backend.clients.audit import audit
from backend.common.commands import ServiceCommand


class Command(ServiceCommand):
    help = "Remove a user's second factor and recovery codes. The password stays."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")

    def handle(self, *args: Any, name: str, **options: Any) -> None:
        found = Authenticator.objects.filter(user__username=name)
        subjects = set(found.values_list("user_id", flat=True))
        if not subjects:
            raise CommandError(f"No user {name!r} has a second factor.")
        found.delete()
        audit("manage.py", "remove second factor", f"user {subjects.pop()}")
        self.stdout.write(f"{name} logs in with the password alone now.")
