"""Private feeds: the token in a `feed_url`, and the revocation of API keys.

The backend signs a token and the websocket server verifies it, each with a key derived from the
secret that they share; so the server needs neither Django nor the database.
"""

import hashlib
import hmac
from typing import Final

from wire import events

STREAM: Final = events.STREAM
"""Revocations are entries of the stream of events: every server reads each once and in order."""

ANONYMOUS_OWNER: Final = "1"
"""Owner of uploads without a key; a client without a token receives their events only."""

ALGORITHM: Final = "HS256"
AUDIENCE: Final = "faces-feed"
"""The `aud` of a feed token. A token for another purpose has another."""

OWNER_CLAIM: Final = "sub"
"""The id of the client whose events are received, as text."""

KEY_CLAIM: Final = "key"
"""The prefix of the API key that the token was issued to; its revocation ends the connection."""

TOKEN_LIFETIME_S: Final = 3600
"""Validity of a feed token; a revocation is stored for as long."""

TOKEN_HEADER: Final = "X-Faces-Feed-Token"
"""By which nginx passes on the token that the backend gave for an API key."""

REFUSAL_HEADER: Final = "X-Faces-Feed-Refusal"
"""By which nginx passes on why the backend gave none."""

REVOKED_KEY: Final = "faces:revoked:{key_prefix}"
"""Redis key that exists while a token of a revoked API key could still be valid."""

REVOKED_FIELD: Final = "revoked_key"
"""The field of a stream entry that is no event: the prefix of a key that was just revoked."""


def signing_key(secret: str) -> bytes:
    """The key for feed tokens, derived from `DJANGO_SECRET_KEY` and useless for anything else."""
    return hmac.digest(secret.encode(), b"faces feed token", hashlib.sha256)
