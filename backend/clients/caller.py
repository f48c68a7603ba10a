"""The caller of a request: a client, by its key or without one."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from rest_framework.request import Request

from backend.clients.models import ANONYMOUS_ID, Scope


@dataclass(frozen=True)
class Caller:
    """`key_prefix` is empty without a key, which only open mode allows."""

    client_id: int
    scopes: frozenset[str]
    key_prefix: str = ""
    key_expires_at: datetime | None = None
    by_link: bool = False
    """Authenticated by a signed link to the requested URL alone."""

    @property
    def is_anonymous(self) -> bool:
        return not self.key_prefix

    @property
    def name(self) -> str:
        """For the audit trail."""
        return f"key {self.key_prefix}" if self.key_prefix else "anonymous"

    def may(self, scope: str) -> bool:
        return scope in self.scopes


ANONYMOUS: Final = Caller(
    client_id=ANONYMOUS_ID,
    # All anonymous callers share one space, so none may erase all of it.
    scopes=frozenset(Scope.values) - {Scope.ADMIN, Scope.OPERATE},
)


def from_request(request: Request) -> Caller:
    """The authenticated caller; every API view has one."""
    assert isinstance(request.auth, Caller)
    return request.auth
