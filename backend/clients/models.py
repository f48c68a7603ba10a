"""Clients, their API keys, and the audit trail."""

from datetime import datetime
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils import timezone
from rest_framework_api_key.models import AbstractAPIKey, APIKeyManager

from wire import feeds

ANONYMOUS_ID: Final = int(feeds.ANONYMOUS_OWNER)
"""The client that owns uploads without a key. `migrate` creates its row."""


class Scope(models.TextChoices):
    """What a key may do."""

    UPLOAD = "upload", "send images, and delete one's own"
    READ = "read", "see results, encodings and statistics"
    RECOGNISE = "recognise", "keep galleries and search them"
    ADMIN = "admin", "erase everything of the client"
    OPERATE = "operate", "read the metrics of the whole service"


def check_scopes(scopes: Any) -> None:
    known = isinstance(scopes, list) and set(scopes) <= set(Scope.values)
    if not known or not scopes:
        raise ValidationError(f"Scopes are a list of: {', '.join(Scope.values)}.")


class Client(models.Model):
    """An owner of images, results and galleries, which no other client can see."""

    name = models.CharField(max_length=100, unique=True)
    created_at = models.DateTimeField(default=timezone.now)
    quota_bytes = models.PositiveBigIntegerField(
        null=True, blank=True, help_text="How much may be stored at a time; empty: no bound."
    )
    stored_bytes = models.PositiveBigIntegerField(default=0)
    erasing_since = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["name"]
        indexes = [
            # For the sweep, which continues erasures.
            models.Index(
                fields=["erasing_since"],
                condition=Q(erasing_since__isnull=False),
                name="client_erasing",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class ApiKey(AbstractAPIKey):
    """A client's key: prefix and hash, never the key itself."""

    objects = APIKeyManager()  # type: ignore[misc]  # the library declares it on the instance

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="keys")
    scopes = models.JSONField(default=list, validators=[check_scopes])
    # False until the websocket servers have it; the sweep publishes what Redis did not take.
    revocation_published = models.BooleanField(default=False, editable=False)

    class Meta(AbstractAPIKey.Meta):
        verbose_name = "API key"
        verbose_name_plural = "API keys"
        indexes = [
            models.Index(
                fields=["revocation_published"],
                condition=Q(revoked=True, revocation_published=False),
                name="key_revocation_unpublished",
            ),
        ]

    def is_usable(self, now: datetime) -> bool:
        return not self.revoked and (self.expiry_date is None or self.expiry_date > now)


class AuditEntry(models.Model):
    """An action on keys or data, and its actor. Never changed; holds no personal data."""

    at = models.DateTimeField(default=timezone.now, editable=False)
    actor = models.CharField(max_length=100, editable=False)
    action = models.CharField(max_length=50, editable=False)
    subject = models.CharField(max_length=200, editable=False)

    class Meta:
        verbose_name_plural = "audit entries"
        ordering = ["-at"]
        # Read by time, and by subject.
        indexes = [
            models.Index(fields=["at"], name="audit_at"),
            models.Index(fields=["subject", "at"], name="audit_subject"),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.actor} {self.action} {self.subject}"
