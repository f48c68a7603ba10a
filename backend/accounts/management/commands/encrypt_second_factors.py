"""`manage.py encrypt_second_factors`: under the present key, before a fallback is removed."""

from __future__ import annotations

from typing import Any

from allauth.mfa.models import Authenticator
from django.core.management.base import CommandError

from backend.accounts import encryption
from backend.common.commands import ServiceCommand


class Command(ServiceCommand):
    help = "Encrypt the secrets of second factors with the present DJANGO_SECRET_KEY."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            count = encryption.encrypt_all(Authenticator.objects.all())
        except encryption.SecretUnreadable:
            raise CommandError(
                "A secret has another key: list it in DJANGO_SECRET_KEY_FALLBACKS, or use "
                "remove_second_factor."
            ) from None
        self.stdout.write(f"Encrypted the secrets of {count} second factors.")
