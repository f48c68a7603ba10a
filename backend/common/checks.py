"""What must not go into production, refused at start with what to do about it."""

from typing import Any

from django.conf import settings
from django.core.checks import Error, register

_DEFAULT_KEY_PREFIX = "insecure-"


@register()
def production_is_safe(app_configs: Any, **kwargs: Any) -> list[Error]:
    """faces.E001 to E004, in `ENVIRONMENT=production` only."""
    if settings.ENVIRONMENT != "production":
        return []
    findings = [
        (
            settings.SECRET_KEY.startswith(_DEFAULT_KEY_PREFIX) or len(settings.SECRET_KEY) < 32,
            "DJANGO_SECRET_KEY is the default or too short.",
            "Set it to a random text of at least 32 characters, e.g. from `openssl rand -hex 32`.",
            "faces.E001",
        ),
        (
            settings.DEBUG,
            "DJANGO_DEBUG is on: error pages would show settings and code.",
            "Set DJANGO_DEBUG=false.",
            "faces.E002",
        ),
        (
            "*" in settings.ALLOWED_HOSTS or not settings.ALLOWED_HOSTS,
            "DJANGO_ALLOWED_HOSTS accepts any host name, or none.",
            "Set DJANGO_ALLOWED_HOSTS to the names in SERVICE_URL, separated by commas.",
            "faces.E003",
        ),
        (
            not settings.FACES_REQUIRE_API_KEY,
            "FACES_REQUIRE_API_KEY is off: everybody would see everybody's images.",
            "Set FACES_REQUIRE_API_KEY=true and make keys with `manage.py create_api_key NAME`.",
            "faces.E004",
        ),
    ]
    return [Error(text, hint=hint, id=id) for wrong, text, hint, id in findings if wrong]
