"""Who may hear what: the token in a private `feed_url`, and the note that a key was revoked.

The backend signs a token, the websocket server checks it; both derive the key from the secret that
they share, so that the server needs neither Django nor the database.
"""

import hashlib
import hmac
from typing import Final

from wire import events

STREAM: Final = events.STREAM
"""Revocations travel in the stream of events, so that every server reads each once and in order."""

ANONYMOUS_OWNER: Final = "1"
"""Owner of what is uploaded without a key: who has no token hears of nothing else."""

ALGORITHM: Final = "HS256"
AUDIENCE: Final = "faces-feed"
"""The `aud` of a feed's token: a token made for anything else opens no feed."""

OWNER_CLAIM: Final = "sub"
"""The id of the client whose events the listener gets, as text."""

KEY_CLAIM: Final = "key"
"""The prefix of the API key that the token was made with: it is dropped with that key."""

TOKEN_LIFETIME_S: Final = 3600
"""Validity of a feed token; a revocation is remembered for as long."""

REVOKED_KEY: Final = "faces:revoked:{key_prefix}"
"""Redis key that is there while a token made with a revoked API key could still be alive."""

REVOKED_FIELD: Final = "revoked_key"
"""The field of a stream entry that is no event but the prefix of a key that was just revoked."""


def signing_key(secret: str) -> bytes:
    """The key for feed tokens, derived from `DJANGO_SECRET_KEY` and of no use for anything else."""
    return hmac.digest(secret.encode(), b"faces feed token", hashlib.sha256)
