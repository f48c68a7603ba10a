"""Which events a connection may receive, by its token; needs neither Django nor the database."""

from dataclasses import dataclass
from typing import Any, Final

import jwt

from wire import feeds

EXPIRED: Final = "the token has expired"
_INVALID: Final = "the token is not valid"


class TokenRejected(Exception):
    """The connection may receive nothing; the message is the reason in the close frame."""


@dataclass(frozen=True)
class Claims:
    """What a connection may receive: the events of `owner`, until the API key `key_prefix` is
    revoked or the token expires at `expires_at` (seconds since 1970). Without a token, no expiry.
    """

    owner: str = feeds.ANONYMOUS_OWNER
    key_prefix: str = ""
    expires_at: float | None = None


@dataclass(frozen=True)
class TokenVerifier:
    """Verifies tokens. Without a token only anonymous events are received, if any."""

    signing_key: bytes
    token_required: bool

    def verify(self, token: str | None) -> Claims:
        """The claims of a connection with this token; raises `TokenRejected`."""
        if token is None:
            if self.token_required:
                raise TokenRejected("a token is needed")
            return Claims()
        claims = self._decode(token)
        owner, key_prefix = claims.get(feeds.OWNER_CLAIM), claims.get(feeds.KEY_CLAIM)
        if not isinstance(owner, str) or not isinstance(key_prefix, str) or not key_prefix:
            raise TokenRejected(_INVALID)
        return Claims(owner, key_prefix, expires_at=float(claims["exp"]))

    def _decode(self, token: str) -> dict[str, Any]:
        """Verify signature, audience and expiry (RFC 7519), with our algorithm, not the token's."""
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self.signing_key,
                algorithms=[feeds.ALGORITHM],
                audience=feeds.AUDIENCE,
                options={"require": ["exp", "aud", feeds.OWNER_CLAIM, feeds.KEY_CLAIM]},
            )
        except jwt.ExpiredSignatureError as error:
            raise TokenRejected(EXPIRED) from error
        except jwt.InvalidTokenError as error:
            raise TokenRejected(_INVALID) from error
        return claims
