"""Signatures of webhooks, as the Standard Webhooks specification 1.0.0 describes them.

HMAC-SHA-256 of `ID.TIMESTAMP.BODY` (https://www.standardwebhooks.com): libraries of many languages
verify it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import uuid
from typing import Final

from django.conf import settings
from django.utils.crypto import salted_hmac

_SALT: Final = "backend.webhooks.signatures"
_PREFIX: Final = "whsec_"


def secret(webhook_id: uuid.UUID) -> str:
    """The webhook's secret, which its receiver verifies signatures with.

    It is derived from `DJANGO_SECRET_KEY`, so that a copy of the database alone has it not.
    """
    return _PREFIX + base64.b64encode(_key(webhook_id, settings.SECRET_KEY)).decode()


def headers(
    webhook_id: uuid.UUID, delivery_id: uuid.UUID, body: bytes, now: float
) -> dict[str, str]:
    """The headers of a delivery.

    While `DJANGO_SECRET_KEY_FALLBACKS` has older keys there is a signature by each, so that a
    receiver may change its secret later.
    """
    id, timestamp = str(delivery_id), str(int(now))
    signed = f"{id}.{timestamp}.".encode() + body
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    signatures = [_signature(_key(webhook_id, key), signed) for key in keys]
    return {
        "Content-Type": "application/json",
        "webhook-id": id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(signatures),
    }


def _signature(key: bytes, signed: bytes) -> str:
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def _key(webhook_id: uuid.UUID, secret_key: str) -> bytes:
    return salted_hmac(_SALT, str(webhook_id), secret=secret_key, algorithm="sha256").digest()
