"""Whose events a client may hear: read from its token, without Django and without the database."""

from dataclasses import dataclass
from typing import Any, Final

import jwt

from wire import feeds

EXPIRED: Final = "the token has expired"

_REASONS: Final = (
    (jwt.ExpiredSignatureError, EXPIRED),
    (jwt.InvalidTokenError, "the token is not valid"),
)


class Refused(Exception):
    """This client hears nothing; says why, in words that fit a close frame."""


@dataclass(frozen=True)
class Claims:
    """What a client may hear: the events of `owner`; dropped with the API key `key_prefix`.

    `ends_at`: when its token ends, in seconds since 1970; None for who needs none.
    """

    owner: str = feeds.ANONYMOUS_OWNER
    key_prefix: str = ""
    ends_at: float | None = None


@dataclass(frozen=True)
class TokenVerifier:
    """Reads tokens. `token_required`: who has none hears nothing, else what is everybody's."""

    signing_key: bytes
    token_required: bool

    def verify(self, token: str | None) -> Claims:
        """The claims of a client with this token; raises `Refused`."""
        if token is None:
            if self.token_required:
                raise Refused("a token is needed")
            return Claims()
        claims = self._claims(token)
        owner, key_prefix = claims.get(feeds.OWNER_CLAIM), claims.get(feeds.KEY_CLAIM)
        if not isinstance(owner, str) or not isinstance(key_prefix, str) or not key_prefix:
            raise Refused("the token is not valid")
        return Claims(owner, key_prefix, ends_at=float(claims["exp"]))

    def _claims(self, token: str) -> dict[str, Any]:
        """Signature, audience, expiry (RFC 7519); the algorithm is ours, not the token's choice."""
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self.signing_key,
                algorithms=[feeds.ALGORITHM],
                audience=feeds.AUDIENCE,
                options={"require": ["exp", "aud", feeds.OWNER_CLAIM, feeds.KEY_CLAIM]},
            )
        except jwt.InvalidTokenError as error:
            raise Refused(next(why for kind, why in _REASONS if isinstance(error, kind))) from error
        return claims
