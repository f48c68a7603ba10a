"""Members."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class Member(models.Model):
    """A user of this app. Without consent (never opted in, or opted out) it has no references."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, primary_key=True, related_name="member"
    )
    opted_in_at = models.DateTimeField(null=True, blank=True)
    opted_out_at = models.DateTimeField(null=True, blank=True)
    # The member is found only on albums dated between these; empty: no bound.
    joined_on = models.DateField(null=True, blank=True)
    left_on = models.DateField(null=True, blank=True)

    def __str__(self) -> str:
        return str(self.user)

    @property
    def takes_part(self) -> bool:
        return self.opted_in_at is not None
