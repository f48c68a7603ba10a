"""Members."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class Member(models.Model):
    """What this app knows of a user. Who never opted in, or out again, has no references."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, primary_key=True, related_name="member"
    )
    opted_in_at = models.DateTimeField(null=True, blank=True)
    opted_out_at = models.DateTimeField(null=True, blank=True)
    # Albums dated before or after are not theirs to be found on; empty: no bound.
    joined_on = models.DateField(null=True, blank=True)
    left_on = models.DateField(null=True, blank=True)

    def __str__(self) -> str:
        return str(self.user)

    @property
    def takes_part(self) -> bool:
        return self.opted_in_at is not None
