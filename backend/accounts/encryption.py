"""Secrets of second factors at rest: Fernet (AES-128-CBC with HMAC-SHA-256) under a key derived
from `DJANGO_SECRET_KEY`, so that a copy of the database alone opens no account."""

from __future__ import annotations

import base64
from typing import Any, Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import transaction
from django.utils.crypto import salted_hmac

_SALT: Final = "backend.accounts.encryption"
_PREFIX: Final = "fernet:"
"""Neither base32 nor hexadecimal: what has it not was stored before secrets were encrypted."""


class SecretUnreadable(Exception):
    """Encrypted with a key that is neither `DJANGO_SECRET_KEY` nor one of its fallbacks."""


def encrypt(text: str) -> str:
    """`text` under the key of `DJANGO_SECRET_KEY`."""
    return f"{_PREFIX}{_cipher().encrypt(text.encode()).decode()}"


def decrypt(stored: str) -> str:
    """The text of `encrypt`, also under a fallback's key; older secrets as they are.

    Raises SecretUnreadable.
    """
    if not stored.startswith(_PREFIX):
        return stored
    try:
        return _cipher().decrypt(stored.removeprefix(_PREFIX)).decode()
    except InvalidToken:
        raise SecretUnreadable from None


def encrypt_all(authenticators: Any) -> int:
    """Encrypt the secrets of each row of allauth's `Authenticator` under the present key.

    Returns how many rows that were. Each row is locked, so that a recovery code that is used
    meanwhile stays used. Raises SecretUnreadable; rows before that one are done.
    """
    count = 0
    for key in authenticators.values_list("pk", flat=True).order_by("pk"):
        with transaction.atomic():
            row = authenticators.select_for_update().filter(pk=key).first()
            if row is not None and _encrypt_row(row.data):
                row.save(update_fields=["data"])
                count += 1
    return count


def _encrypt_row(data: dict[str, Any]) -> bool:
    """Of a TOTP its secret, of recovery codes their seed, or the codes of older versions."""
    found = [name for name in ("secret", "seed", "migrated_codes") if name in data]
    for name in found:
        data[name] = _again(data[name])
    return bool(found)


def _again(value: Any) -> Any:
    if isinstance(value, list):
        return [_again(each) for each in value]
    return encrypt(decrypt(value))


def _cipher() -> MultiFernet:
    """Encrypts with the first of the keys, decrypts with any."""
    return MultiFernet(
        Fernet(_derived(key)) for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    )


def _derived(secret: str) -> bytes:
    digest = salted_hmac(_SALT, "", secret=secret, algorithm="sha256").digest()
    return base64.urlsafe_b64encode(digest)
