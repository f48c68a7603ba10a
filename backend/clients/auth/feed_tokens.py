"""Feed URLs: `/faces` with a signed token that selects the caller's own events."""

from datetime import timedelta

import jwt
from django.conf import settings
from django.utils import timezone

from backend.clients.caller import Caller
from backend.common.http.service_url import service_url
from wire import feeds


def url(caller: Caller) -> str:
    """`ws://HOST/faces`, with a short-lived token unless the caller is anonymous."""
    address = f"{service_url().replace('http', 'ws', 1)}/faces"
    return address if caller.is_anonymous else f"{address}?token={token(caller)}"


def token(caller: Caller) -> str:
    """A JSON Web Token (RFC 7519) for the events of the caller's client; ends with the key."""
    now = timezone.now()
    ends_at = now + timedelta(seconds=feeds.TOKEN_LIFETIME_S)
    if caller.key_expires_at is not None:
        ends_at = min(ends_at, caller.key_expires_at)
    claims = {
        "aud": feeds.AUDIENCE,
        "iat": now,
        "exp": ends_at,
        feeds.OWNER_CLAIM: str(caller.client_id),
        feeds.KEY_CLAIM: caller.key_prefix,
    }
    return jwt.encode(claims, feeds.signing_key(settings.SECRET_KEY), algorithm=feeds.ALGORITHM)
